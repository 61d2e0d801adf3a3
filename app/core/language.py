"""Which of the languages we write a reader prefers, by what the browser says."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

Language = Literal["pt", "en"]


def of_locale(locale: str) -> Language:
    """The language of a tenant's locale: English where it says so, else Portuguese."""
    return "en" if locale.lower().startswith("en") else "pt"


@lru_cache(maxsize=512)
def preferred(header: str) -> Language | None:
    """The first of our languages in an ``Accept-Language`` (RFC 9110, section 12.5.4).

    By weight, then in the order given; a weight of zero excludes. None when it wants neither, or
    anything: then it is for the tenant to choose.
    """
    best: Language | None = None
    highest = 0.0
    for part in header[:500].split(","):
        tag, _, parameters = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        found: Language | None = "pt" if primary == "pt" else "en" if primary == "en" else None
        weight = _weight(parameters)
        if found is not None and weight > highest:
            best, highest = found, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
