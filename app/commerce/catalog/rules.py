"""How names become slugs and search words; the same folding as the database's own column."""

from __future__ import annotations

import re

from app.core.fold import fold

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_WILDCARD = re.compile(r"[%_\\]")
SLUG_LENGTH = 80


def slugify(name: str) -> str:
    """A slug of at most 80 characters; ``item`` when the name holds no letter or digit."""
    slug = _NOT_SLUG.sub("-", fold(name)).strip("-")[:SLUG_LENGTH].rstrip("-")
    return slug or "item"


def free_slug(base: str, taken: set[str]) -> str:
    """``base``, or the first of ``base-2``, ``base-3``... that is not taken."""
    slug, number = base, 1
    while slug in taken:
        number += 1
        suffix = f"-{number}"
        slug = base[: SLUG_LENGTH - len(suffix)].rstrip("-") + suffix
    return slug


def like_patterns(query: str) -> list[str]:
    """One LIKE pattern per word of ``query`` (at most eight), with its wildcards disarmed."""
    words = fold(query).split()[:8]
    return ["%" + _WILDCARD.sub(r"\\\g<0>", word) + "%" for word in words]
