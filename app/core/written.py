"""Reads amounts and moments as people and their programs write them, or says why it cannot."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

_NUMBER = re.compile(r"\d{1,12}(?:[.,]\d+)*", re.ASCII)
_MOMENTS = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y")
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_HIGHEST_CENTS = 10**13


class Unreadable(ValueError):
    """A text that does not mean what it should; the message names the text and the reason."""


def cents_from(text: str) -> int:
    """Exact cents of ``99.9``, ``99,90``, ``1.234,56``, ``1,234.56`` or ``R$ 10,00``.

    ``1.234`` and ``1,234`` are refused: a thousand to some and one to others. Never through a
    float. Raises Unreadable.
    """
    bare = re.sub(r"\s", "", text).removeprefix("R$")
    if not _NUMBER.fullmatch(bare):
        raise Unreadable(f"{text!r} is not an amount of money")
    whole, fraction = _parts(bare, text)
    if len(fraction) > 2:
        raise Unreadable(f"{text!r} has more than two decimals, or lacks them: write 1234.50")
    cents = int(Decimal(f"{whole}.{fraction or '0'}") * 100)
    if cents > _HIGHEST_CENTS:
        raise Unreadable(f"{text!r} is larger than any price")
    return cents


def _parts(bare: str, text: str) -> tuple[str, str]:
    """Split at the decimal sign: the last of two kinds, or the only sign there is."""
    pieces = re.split(r"[.,]", bare)
    signs = [char for char in bare if char in ".,"]
    if len(signs) <= 1:
        return pieces[0], "".join(pieces[1:])
    groups, last = signs[:-1], signs[-1]
    is_grouped = len(pieces[0]) <= 3 and all(len(piece) == 3 for piece in pieces[1:-1])
    if len(set(groups)) > 1 or not is_grouped:
        raise Unreadable(f"{text!r} is not an amount of money")
    if last == groups[0]:
        if len(pieces[-1]) != 3:
            raise Unreadable(f"{text!r} is not an amount of money")
        return "".join(pieces), ""
    return "".join(pieces[:-1]), pieces[-1]


def whole_from(text: str, *, lowest: int = 0) -> int:
    """A whole number from ``lowest`` up; ``7150`` and ``7150.0`` alike. Raises Unreadable."""
    found = re.fullmatch(r"(\d{1,12})(?:[.,]0+)?", text.strip(), re.ASCII)
    if found is None or int(found[1]) < lowest:
        raise Unreadable(f"{text!r} is not a whole number from {lowest} up")
    return int(found[1])


def instant_from(text: str, zone: ZoneInfo, *, latest: datetime) -> datetime:
    """The UTC instant of an ISO 8601 or ``31/12/2025 18:30`` text.

    Without an offset it is the wall clock of ``zone``. Before 1990 or after ``latest`` plus a day
    it is taken for a slip. Raises Unreadable.
    """
    found = _moment(text.strip())
    if found is None:
        raise Unreadable(f"{text!r} is not a date")
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    moment = found.astimezone(UTC)
    if not _EARLIEST <= moment <= latest + timedelta(days=1):
        raise Unreadable(f"{text!r} lies before 1990 or in the future")
    return moment


def _moment(text: str) -> datetime | None:
    # Twice as fast as trying formats, and nearly every file is ISO.
    try:
        return datetime.fromisoformat(text) if text[4:5] == "-" else _brazilian(text)
    except ValueError:
        return None


def _brazilian(text: str) -> datetime | None:
    for form in _MOMENTS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the zone
        except ValueError:
            continue
    return None
