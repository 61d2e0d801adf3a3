"""Bases of wire models: what comes in is closed, what goes out reads attributes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, JsonValue

_LARGEST = 2**53
"""Beyond it a JSON number is not the same in every reader (RFC 8259 §6)."""


def _portable(value: JsonValue) -> JsonValue:
    """Refuse numbers that JSONB would widen and other readers would round."""
    if isinstance(value, dict):
        for part in value.values():
            _portable(part)
    elif isinstance(value, list):
        for part in value:
            _portable(part)
    elif isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
        raise ValueError("a number lies beyond 2^53: send it as text")
    return value


FreeJson = Annotated[JsonValue, AfterValidator(_portable)]
"""A JSON value of the caller's own that is kept and given back as it came."""


def _in_calendar(value: datetime) -> datetime:
    """Refuse what has no date in UTC: the offset carries it over an edge of the calendar."""
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the instant lies beyond the calendar") from None
    return value


Instant = Annotated[AwareDatetime, AfterValidator(_in_calendar)]
"""A date and time with its offset, as every one that comes in is written."""


class Input(BaseModel):
    """A request body. Unknown fields are refused: a typo never passes as a missing option."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Output(BaseModel):
    """A response body, read from rows or dataclasses."""

    model_config = ConfigDict(from_attributes=True)
