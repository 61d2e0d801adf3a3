"""Reads what WhatsApp delivers, tolerantly: every kind that is known, and what is not as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.conversations.inbound.words import said

Json = dict[str, Any]

KINDS = frozenset(
    {
        "text", "image", "video", "sticker", "audio", "document", "location", "contacts",
        "interactive", "button", "reaction", "order", "system", "edit", "revoke", "unsupported",
    }
)  # fmt: skip
MEDIA = ("image", "video", "sticker", "audio", "document")
CHANGES = ("reaction", "edit", "revoke")
MEDIA_LIFE = timedelta(days=7)
"""So long the vendor keeps what somebody sent us."""
_NUL = re.compile("[\x00\ud800-\udfff]")
_LONGEST_ID = 400
_DEEPEST = 200
_AHEAD = timedelta(minutes=5)
"""How far the vendor's clock may be ahead of ours: what says it comes later came when it came."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who a message names; a name may be missing, and so may the number."""

    wa_id: str | None = None
    bsuid: str | None = None
    name: str = ""

    @property
    def key(self) -> str:
        return self.wa_id or self.bsuid or ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, of a contact or (an echo) of the tenant's own phone."""

    phone_number_id: str
    wamid: str
    at: datetime
    kind: str
    person: Person
    became: Person | None
    """A system message's word that the person goes by this from now on."""
    text: str | None
    content: Json
    reply_to: str | None
    is_echo: bool
    media: Json | None


@dataclass(frozen=True, slots=True)
class Status:
    phone_number_id: str
    wamid: str
    status: str
    at: datetime
    facts: Json


@dataclass(frozen=True, slots=True)
class Preference:
    """A person told the vendor whether they want marketing."""

    phone_number_id: str
    person: Person
    wants: bool
    at: datetime
    evidence: str


@dataclass(frozen=True, slots=True)
class Account:
    """Whatever else is told: of the account, a number, a template."""

    waba_id: str
    phone_number_id: str | None
    field: str
    value: Json


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item without what it takes to act on it; the raw delivery has it."""

    reason: str


Item = Message | Status | Preference | Account | Unreadable


@dataclass(frozen=True, slots=True)
class Names:
    """What a delivery names, before anybody is believed."""

    phones: frozenset[str]
    accounts: frozenset[str]
    fields: str


def parsed(body: bytes) -> Json | None:
    """The envelope; None when it is none. What cannot be kept is taken out: NUL and half a
    surrogate pair of its texts (Postgres), what is nested too deep (whoever writes JSON)."""
    try:
        found = orjson.loads(body)
        if b"\\u0000" in body or body.count(b"[") + body.count(b"{") > _DEEPEST:
            found = _clean(found)
    except orjson.JSONDecodeError:
        try:
            found = _clean(json.loads(body.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def names_of(envelope: Json | None) -> Names:
    """Which numbers and accounts a delivery is about."""
    phones, accounts, fields = set(), set(), []
    for waba_id, field, value in _changes(envelope or {}):
        phone = _phone(value)
        if phone is not None:
            phones.add(phone)
        elif waba_id:
            accounts.add(waba_id)
        if field not in fields:
            fields.append(field)
    return Names(frozenset(phones), frozenset(accounts), ",".join(fields)[:100])


def items_of(envelope: Json, arrived: datetime) -> Iterator[Item]:
    """Every item of every entry and change; ``arrived`` stands in for an instant that is none."""
    for waba_id, field, value in _changes(envelope):
        phone = _phone(value)
        if phone is None or field not in ("messages", "smb_message_echoes", "user_preferences"):
            yield Account(waba_id, phone, field, value)
            continue
        people = [c for c in _list(value, "contacts") if isinstance(c, dict)]
        for raw in _list(value, "messages"):
            yield _message(phone, raw, people, arrived, value, is_echo=False)
        for raw in _list(value, "message_echoes"):
            yield _message(phone, raw, people, arrived, value, is_echo=True)
        for raw in _list(value, "statuses"):
            yield _status(phone, raw, arrived)
        for raw in _list(value, "user_preferences"):
            yield _preference(phone, raw, arrived)


def _message(
    phone: str, raw: Any, people: list[Json], arrived: datetime, value: Json, *, is_echo: bool
) -> Message | Unreadable:
    wamid = _text(raw.get("id")) if isinstance(raw, dict) else None
    if wamid is None:
        return Unreadable("a message without an id")
    type_ = _text(raw.get("type")) or "unsupported"
    kind = type_ if type_ in KINDS else "unsupported"
    if kind in CHANGES and _target(kind, raw) is None:
        kind = "unsupported"
    person, became = _person(raw, people, is_echo=is_echo), _became(raw)
    if not person.key:
        person, became = became or person, None
    if not person.key:
        return Unreadable(f"message {wamid} names nobody")
    content = {k: v for k, v in raw.items() if k not in ("id", "timestamp")}
    if "errors" not in content and kind not in content and value.get("errors"):
        content["errors"] = value["errors"]
    part = raw.get(kind)
    return Message(
        phone,
        wamid,
        _instant(raw.get("timestamp"), arrived),
        kind,
        person,
        became,
        said(kind, raw),
        content,
        _target(kind, raw) if kind in CHANGES else _answered(raw),
        is_echo,
        part if kind in MEDIA and isinstance(part, dict) and _text(part.get("id")) else None,
    )


def _status(phone: str, raw: Any, arrived: datetime) -> Status | Unreadable:
    match raw:
        case {"id": str(wamid), "status": str(status)} if wamid and status:
            facts = {k: v for k, v in raw.items() if k not in ("id", "status", "timestamp")}
            at = _instant(raw.get("timestamp"), arrived)
            return Status(phone, wamid[:_LONGEST_ID], status.lower()[:40], at, facts)
    return Unreadable("a status without an id or a word")


def _preference(phone: str, raw: Any, arrived: datetime) -> Preference | Unreadable:
    match raw:
        case {"value": ("stop" | "resume" | "signup") as value}:
            person = Person(_text(raw.get("wa_id")), _text(raw.get("user_id")))
            if person.key:
                at = _instant(raw.get("timestamp"), arrived)
                return Preference(
                    phone, person, value != "stop", at, f"{value} {int(at.timestamp())}"
                )
    return Unreadable("a preference without a person or a known value")


def _person(raw: Json, people: list[Json], *, is_echo: bool) -> Person:
    names = ("to", "to_user_id") if is_echo else ("from", "from_user_id")
    wa_id, bsuid = (_text(raw.get(name)) for name in names)
    for known in people:
        theirs = _text(known.get("wa_id")), _text(known.get("user_id"))
        if (wa_id and theirs[0] == wa_id) or (bsuid and theirs[1] == bsuid):
            profile = known.get("profile")
            name = _text(profile.get("name")) if isinstance(profile, dict) else None
            return Person(wa_id or theirs[0], bsuid or theirs[1], (name or "").strip()[:200])
    return Person(wa_id, bsuid)


def _became(raw: Json) -> Person | None:
    match raw.get("system"):
        case {"type": "user_changed_number" | "user_changed_user_id", **system}:
            found = Person(_text(system.get("wa_id")), _text(system.get("user_id")))
            return found if found.key else None
    return None


def _target(kind: str, raw: Json) -> str | None:
    part = raw.get(kind)
    name = "message_id" if kind == "reaction" else "original_message_id"
    return _text(part.get(name)) if isinstance(part, dict) else None


def _answered(raw: Json) -> str | None:
    context = raw.get("context")
    return _text(context.get("id")) if isinstance(context, dict) else None


def _changes(envelope: Json) -> Iterator[tuple[str, str, Json]]:
    for entry in _list(envelope, "entry"):
        if not isinstance(entry, dict):
            continue
        for change in _list(entry, "changes"):
            if isinstance(change, dict):
                value = change.get("value")
                yield (
                    _text(entry.get("id")) or "",
                    _text(change.get("field")) or "unknown",
                    value if isinstance(value, dict) else {"value": value},
                )


def _phone(value: Json) -> str | None:
    metadata = value.get("metadata")
    return _text(metadata.get("phone_number_id")) if isinstance(metadata, dict) else None


def _list(holder: Json, name: str) -> list[Any]:
    found = holder.get(name)
    return found if isinstance(found, list) else []


def _text(value: Any) -> str | None:
    """A non-empty text; ids are sometimes sent as numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value[:_LONGEST_ID] if isinstance(value, str) and value else None


def _instant(value: Any, arrived: datetime) -> datetime:
    try:
        found = datetime.fromtimestamp(int(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return arrived
    return found if found.year >= 2000 and found <= arrived + _AHEAD else arrived


def _clean(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _NUL.sub("", value)
    if isinstance(value, int) and value.bit_length() > 63:
        return str(value)  # no writer of JSON of ours takes it as a number
    if isinstance(value, dict | list) and depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        return {_NUL.sub("", k): _clean(v, depth + 1) for k, v in value.items()}
    return [_clean(v, depth + 1) for v in value] if isinstance(value, list) else value
