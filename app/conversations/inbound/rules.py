"""How far a message got, folded from every notice of it in whatever order they came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

RANKS = {"accepted": 1, "sent": 2, "delivered": 3, "read": 4, "played": 5}
_BEFORE = ("queued", "sending", "unknown")
ARRIVED = ("delivered", "read", "played")
STAMPS = ("sent", "delivered", "read", "played", "failed")


@dataclass(frozen=True, slots=True)
class Notice:
    """One status event, as it came."""

    status: str
    at: datetime
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands after all its notices."""

    status: str
    stamps: dict[str, datetime]
    error_code: str | None = None
    error: str | None = None


def standing(base: str, notices: Iterable[Notice]) -> Standing:
    """Fold all notices of one message; the order in which they are given does not matter.

    accepted < sent < delivered < read <= played, never back. ``failed`` wins over sent, and a
    delivered, read or played that is stamped later wins over failed, as one of several devices
    may have failed (whatsapp-contract §2.4). ``base`` is what stands without notices; words that
    are not known are passed over.
    """
    known = sorted(
        (n for n in notices if n.status in RANKS or n.status == "failed"),
        key=lambda n: (n.at, n.status),
    )
    stamps: dict[str, datetime] = {}
    for notice in known:
        if notice.status in STAMPS:
            stamps.setdefault(notice.status, notice.at)
    reached = max((n.status for n in known if n.status in RANKS), key=RANKS.__getitem__, default="")
    best = reached if RANKS.get(reached, 0) > RANKS.get(base, 0) else base
    failures = [n for n in known if n.status == "failed"]
    if not failures:
        return Standing(best, stamps)
    arrived = max((n.at for n in known if n.status in ARRIVED), default=None)
    if arrived is not None and arrived > failures[-1].at:
        return Standing(best if best not in _BEFORE else reached, stamps)
    code, words = _error(failures[-1].facts)
    return Standing("failed", stamps, code, words)


def _error(facts: dict[str, Any]) -> tuple[str | None, str | None]:
    match facts.get("errors"):
        case [{**error}, *_]:
            words = error.get("message") or error.get("title")
            match error.get("error_data"):
                case {"details": str(details)} if details:
                    words = details
            code = error.get("code")
            return (None if code is None else str(code), None if words is None else str(words))
    return None, None


@dataclass(frozen=True, slots=True)
class Change:
    """An event about another message: an edit, a revoke or a reaction."""

    kind: str
    is_from_contact: bool
    at: datetime
    wamid: str
    content: dict[str, Any]
    text: str | None


@dataclass(frozen=True, slots=True)
class Changed:
    """What the changes make of a message."""

    reactions: dict[str, str]
    edit: Change | None
    revoked_at: datetime | None


def folded(changes: Iterable[Change], *, is_from_contact: bool) -> Changed:
    """What all changes of one message come to, in whatever order they were delivered: each side's
    newest reaction, the author's newest edit, the author's first revoke."""
    reactions: dict[str, str] = {}
    edit, revoked_at = None, None
    for change in sorted(changes, key=lambda c: (c.at, c.wamid)):
        if change.kind == "reaction":
            side = "contact" if change.is_from_contact else "business"
            reactions[side] = emoji_of(change.content)
        elif change.is_from_contact != is_from_contact:
            continue  # nobody edits or revokes what the other side wrote
        elif change.kind == "edit":
            edit = change
        elif revoked_at is None:
            revoked_at = change.at
    return Changed({side: emoji for side, emoji in reactions.items() if emoji}, edit, revoked_at)


def emoji_of(content: dict[str, Any]) -> str:
    """Of a reaction's content; empty: it was taken back."""
    match content.get("reaction"):
        case {"emoji": str(emoji)}:
            return emoji
    return ""
