"""What a merge fills in of who stays, and how that is taken back: pure functions over facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

Facts = Mapping[str, Any]
Filled = dict[str, list[Any]]
"""By field: what it was, and what it became; as JSON."""

BLANKS = ("email", "company", "language", "birth_date", "owner_id")
FIELDS = (
    "name", *BLANKS, "phone", "stage", "stage_at", "last_seen_at", "score", "score_adjustment",
    "is_blocked", "attributes",
)  # fmt: skip
_PARSERS: dict[str, Any] = {
    "birth_date": date.fromisoformat,
    "owner_id": UUID,
    "stage_at": datetime.fromisoformat,
    "last_seen_at": datetime.fromisoformat,
}


def fill(stays: Facts, merged: Facts) -> dict[str, Any]:
    """The facts of who stays that the merge changes: blanks are filled, nothing is overwritten;
    points given by hand add up, and a block of either holds for both."""
    found: dict[str, Any] = {
        name: merged[name]
        for name in ("name", "phone", *BLANKS)
        if not stays[name] and merged[name]
    }
    if stays["stage"] is None and merged["stage"] is not None:
        found |= {"stage": merged["stage"], "stage_at": merged["stage_at"]}
    seen = max(filter(None, (stays["last_seen_at"], merged["last_seen_at"])), default=None)
    found["last_seen_at"] = seen
    for name in ("score", "score_adjustment"):
        found[name] = stays[name] + merged["score_adjustment"]
    found["is_blocked"] = stays["is_blocked"] or merged["is_blocked"]
    found["attributes"] = {**merged["attributes"], **stays["attributes"]}
    return {name: value for name, value in found.items() if stays[name] != value}


def kept(stays: Facts, changed: Facts) -> Filled:
    """What to remember of a merge that changes these facts."""
    return {name: [_plain(stays[name]), _plain(value)] for name, value in changed.items()}


def taken_back(now: Facts, filled: Filled) -> dict[str, Any]:
    """The facts to restore: what somebody has changed since the merge stays as they left it."""
    found: dict[str, Any] = {}
    for name, (before, after) in filled.items():
        if name == "attributes":
            found[name] = _attributes_back(now[name], before, after)
        elif name in ("score", "score_adjustment"):
            found[name] = now[name] - (after - before)
        elif _plain(now[name]) == after:
            parse = _PARSERS.get(name)
            found[name] = parse(before) if parse and before is not None else before
    return found


def _attributes_back(now: Facts, before: Facts, after: Facts) -> dict[str, Any]:
    received = {key: value for key, value in after.items() if key not in before}
    return {k: v for k, v in now.items() if k not in received or received[k] != v}


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
