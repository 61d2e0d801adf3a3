"""Slugs and search words, edits of prices, and the one rule of when something is sold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from app.core.fold import fold
from app.core.hours import Schedule, WeeklyInterval, closes_at, is_open, next_opening
from app.kernel.files.rules import BY_EXTENSION

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
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


def search_words(query: str) -> list[str]:
    """The words of ``query`` (at most eight) as the database's own column spells them."""
    return fold(query).split()[:8]


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


def kind_of_medium(key: str) -> str:
    """What a stored file is to a page: ``image``, ``video``, or '' for anything else."""
    kind = BY_EXTENSION.get(key.rpartition(".")[2])
    medium = kind.media_type.partition("/")[0] if kind else ""
    return medium if medium in ("image", "video") else ""


class OffShelf(StrEnum):
    PAUSED = "paused"
    OUTSIDE_HOURS = "outside-hours"


@dataclass(frozen=True, slots=True)
class Shelf:
    """When a category or a product is sold: in its weekly hours on the store's clock (None: at
    any time), and not while it is paused."""

    schedule: Schedule | None = None
    is_paused: bool = False
    paused_until: datetime | None = None
    """When the pause ends by itself; None: when somebody ends it."""

    def refusal(self, at: datetime) -> OffShelf | None:
        if self.is_paused and (self.paused_until is None or at < self.paused_until):
            return OffShelf.PAUSED
        if self.schedule is not None and not _hours(self.schedule, at)[0]:
            return OffShelf.OUTSIDE_HOURS
        return None

    def returns_at(self, at: datetime) -> datetime | None:
        """When the reason that holds at ``at`` ends; None: nobody knows."""
        if self.refusal(at) is OffShelf.PAUSED:
            return self.paused_until
        return _hours(self.schedule, at)[1] if self.schedule else None

    def changes_at(self, at: datetime) -> datetime | None:
        """The next instant after ``at`` at which the answer may be another."""
        moments = [self.paused_until if self.is_paused else None]
        if self.schedule is not None:
            moments += _hours(self.schedule, at)[1:]
        return min((m for m in moments if m is not None and m > at), default=None)


@dataclass(frozen=True, slots=True)
class Absence:
    """Why something is not sold, and when it is again, as far as anybody knows."""

    reason: OffShelf
    next_available_at: datetime | None


def shelves(timezone: str, rows: Iterable[Mapping[str, object]] | None) -> tuple[Shelf, ...]:
    """The shelves of a category and its product, from their JSON; none: always sold."""
    found = (_shelf(timezone, row) for row in rows or ())
    return tuple(shelf for shelf in found if shelf != _ALWAYS)


def absence(of: Sequence[Shelf], at: datetime) -> Absence | None:
    """Why what lies on all these shelves is not sold at ``at``; None: it is."""
    reason = next((r for shelf in of if (r := shelf.refusal(at)) is not None), None)
    return None if reason is None else Absence(reason, _back_at(of, at))


_ALWAYS = Shelf()
_STEPS = 200
"""Openings looked at until one suits every shelf."""


def _back_at(of: Sequence[Shelf], at: datetime) -> datetime | None:
    moment: datetime | None = at
    for _ in range(_STEPS):
        if moment is None:
            return None
        off = next((shelf for shelf in of if shelf.refusal(moment) is not None), None)
        if off is None:
            return moment
        moment = off.returns_at(moment)
    return None


def _shelf(timezone: str, row: Mapping[str, object]) -> Shelf:
    windows, until = row["windows"], row["paused_until"]
    rules = tuple(
        WeeklyInterval.of(w["weekday"], w["opens"], w["closes"])
        for w in (windows if isinstance(windows, list) else ())
    )
    return Shelf(
        Schedule(timezone, rules) if rules else None,
        bool(row["is_paused"]),
        datetime.fromisoformat(until) if isinstance(until, str) else None,
    )


@lru_cache(maxsize=4096)  # a menu asks the same of every product of a category
def _hours(schedule: Schedule, at: datetime) -> tuple[bool, datetime | None, datetime | None]:
    """Whether it is open at ``at``, when it opens next, and when it closes."""
    return is_open(schedule, at), next_opening(schedule, at), closes_at(schedule, at)
