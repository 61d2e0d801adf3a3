"""How names become slugs and search words; the same folding as the database's own column."""

from __future__ import annotations

import re
from collections.abc import Sequence

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


def edited_price(price_cents: int, by: str, value: int, round_to_cents: int) -> int:
    """The price after an edit ``by`` percent (``value`` in hundredths of a percent), amount or
    set (``value`` in cents), to the nearest multiple of ``round_to_cents``, halves up.

    Exact: integers all the way. May be negative; the caller judges.
    """
    above, below = {
        "percent": (price_cents * (10_000 + value), 10_000),
        "amount": (price_cents + value, 1),
        "set": (value, 1),
    }[by]
    return round_to_cents * ((2 * above + below * round_to_cents) // (2 * below * round_to_cents))


def edited_tags(tags: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> list[str]:
    """The tags in their order, the new ones last, each once."""
    return [tag for tag in dict.fromkeys([*tags, *add]) if tag not in remove]
