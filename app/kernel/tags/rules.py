"""Whether a value fits the tenant's definition of an attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import JsonValue

from app.kernel.tags.models import ContactAttribute

LONGEST = 500
LARGEST = 10**15


def misfit(definition: ContactAttribute, value: JsonValue) -> str | None:
    """What is wrong with ``value``, in words; None when it fits. ``None`` removes a fact."""
    if value is None:
        return None
    match definition.kind:
        case "boolean":
            fits = isinstance(value, bool)
            wanted = "true or false"
        case "number":
            fits = (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and abs(value) <= LARGEST
            )
            wanted = "a number"
        case "date":
            fits = isinstance(value, str) and _is_date(value)
            wanted = "a date as 2026-11-22"
        case "choice":
            fits = value in definition.choices
            wanted = f"one of {', '.join(definition.choices)}"
        case _:
            fits = isinstance(value, str) and 0 < len(value) <= LONGEST
            wanted = f"text of at most {LONGEST} characters"
    return None if fits else f"{definition.label}: send {wanted}."


def misfits(
    definitions: Sequence[ContactAttribute], values: Mapping[str, JsonValue]
) -> list[dict[str, str]]:
    """What is wrong, as the ``errors`` of a problem; empty when every value fits."""
    known = {definition.key: definition for definition in definitions}
    found = []
    for key, value in values.items():
        said = misfit(known[key], value) if key in known else "There is no such attribute."
        if said is not None:
            found.append({"pointer": f"/body/attributes/{key}", "detail": said})
    return found


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
