"""How the vendor's words about numbers are read: limits, qualities, what an event asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.contracts.notices import Wording
from app.contracts.whatsapp import NumberInTrouble
from app.conversations.numbers.models import QUALITIES

_TIER = re.compile(r"(?:TIER_)?(\d{1,9})(K?)", re.ASCII)
_EVENT_QUALITY = {"FLAGGED": "red", "UNFLAGGED": "yellow"}
LOCKED_OUT = "access refused: "
"""Begins why campaigns rest when only a new token helps."""
_BANNED = {"DISABLE", "SCHEDULE_FOR_DISABLE"}


@dataclass(frozen=True, slots=True)
class Limit:
    """People that may be written to first in a moving day; None: without end."""

    people: int | None


def limit_of(word: object) -> Limit | None:
    """A tier in the vendor's words (``TIER_2K``, ``TIER_UNLIMITED``, 250); None: it says none."""
    text = str(word or "").upper()
    if "UNLIMITED" in text:
        return Limit(None)
    found = _TIER.fullmatch(text)
    return Limit(int(found[1]) * (1000 if found[2] else 1)) if found else None


def quality_of(word: object) -> str:
    """One of ours; ``unknown`` for what we do not know."""
    text = str(word or "").lower()
    return text if text in QUALITIES else "unknown"


def quality_by_event(event: object) -> str | None:
    """The quality that an event of the number's quality implies; None: it implies none."""
    return _EVENT_QUALITY.get(str(event).upper())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an event about the account means for its numbers.

    ``status`` None leaves it; ``stops`` says why campaigns stop, ``resumes`` that they may go on.
    """

    status: str | None = None
    stops: str | None = None
    resumes: bool = False


def verdict_of(value: Mapping[str, Any]) -> Verdict:
    """Read an ``account_update``; an event that we do not know means nothing."""
    event = str(value.get("event", "")).upper()
    state = str(_object(value.get("ban_info")).get("waba_ban_state", "")).upper()
    if state in _BANNED:
        return Verdict("banned", f"{event}: {state}")
    if state == "REINSTATE":
        return Verdict("connected", resumes=True)
    if event == "ACCOUNT_RESTRICTION":
        kinds = _restrictions(value)
        return Verdict("restricted", f"{event}: {kinds}") if kinds else Verdict(resumes=True)
    if event in ("ACCOUNT_DELETED", "PARTNER_REMOVED"):
        return Verdict("disconnected", event)
    if event == "ACCOUNT_VIOLATION":
        kind = _object(value.get("violation_info")).get("violation_type", "")
        return Verdict(stops=f"{event}: {kind}")
    return Verdict()


def _restrictions(value: Mapping[str, Any]) -> str:
    told = value.get("restriction_info")
    rows = told if isinstance(told, list) else []
    return ", ".join(str(_object(row).get("restriction_type", "")) for row in rows)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def digits(phone: str) -> str:
    """A telephone number without its punctuation."""
    return re.sub(r"\D", "", phone)


def trouble_notice(event: NumberInTrouble) -> Wording:
    """Words for whoever looks after the numbers."""
    return Wording(
        f"WhatsApp: {event.label}",
        f"O número precisa de atenção: {event.reason}",
        f"/admin/whatsapp/numbers/{event.number_id}",
    )
