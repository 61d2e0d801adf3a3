"""Names of new organizations and the length of their trial; pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from app.core.fold import fold

TRIAL = timedelta(days=14)
LONGEST_SLUG = 40
RESERVED = frozenset({"admin", "api", "app", "docs", "largo", "mail", "media", "status", "www"})
"""Names of our own hosts: as subdomains they can be nobody's."""


def slug_of(name: str) -> str:
    """``Café da Praça`` as ``cafe-da-praca``; ``loja`` for a name without letters."""
    words = "-".join(re.findall(r"[a-z0-9]+", fold(name)))
    slug = words[: LONGEST_SLUG - 5].rstrip("-")
    return slug if len(slug) >= 3 and slug not in RESERVED else f"loja-{slug}".rstrip("-")


def trial_end(price_cents: int, at: datetime) -> datetime | None:
    """When the trial of a plan that costs something ends; what is free needs none."""
    return at + TRIAL if price_cents else None
