"""When free words may be sent, and how fast: pure functions and figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure, GatewayRefused, Refusal
from app.core.backoff import retry_wait
from app.core.ratelimit import Limit

WINDOW = timedelta(hours=24)
"""Free words are allowed for so long after the contact's last message, by the vendor's clock."""

UNDECIDED_AFTER = timedelta(hours=1)
"""A status that settles an unknown outcome comes within minutes, or hardly ever."""

PAIR = Limit("whatsapp-pair", 44, 264.0)
"""One message in six seconds between a number and a person, 45 at once borrowed from later: one
fewer, as two of ours may come closer together than they left."""

_SHARE = 0.95
"""Of what the vendor takes in a second: the rest is for what comes late and meets the next."""

_COEXISTENT_PER_S = 20

NOTIFICATION, BOT, REPLY, BULK = 5, 8, 10, -10
"""Priorities of jobs and of lines: what a person waits for goes first."""

URGENCY = MappingProxyType({"user": REPLY, "bot": BOT, "system": NOTIFICATION, "campaign": BULK})
"""By who says it."""

STOPPED_S = 60.0
"""So often bulk messages of a stopped number look whether it may go on."""

OPENED_FOR = timedelta(hours=24)
"""So long a person counts whom a template reached outside their window."""

_IN_TURN_S, _BURST = 0.1, 44
_LONGEST_PAIR_WAIT_S = 4.0**5
_LONGEST_HOLD_S = 60.0
_MOST_HOLDS = 40


def is_open(last_inbound_at: datetime | None, at: datetime) -> bool:
    """Whether free words may be sent at ``at``: up to 24 h after the contact's message, not on."""
    return last_inbound_at is not None and at - last_inbound_at < WINDOW


@dataclass(frozen=True, slots=True)
class Pace:
    """How far apart a number's messages leave, and what may make all of them wait."""

    number: str
    interval_s: float
    pauses: tuple[str, str]
    """The number's own pause, and its account's."""


def pace_of(
    tenant_id: UUID, number_id: UUID, waba_id: str, per_second: int, *, is_coexistent: bool
) -> Pace:
    """Evenly over each second, a little under what the vendor takes."""
    rate = min(per_second, _COEXISTENT_PER_S) if is_coexistent else per_second
    name = f"number:{number_id}"
    return Pace(
        name, 1 / (rate * _SHARE), (f"pause:{name}", f"pause:account:{tenant_id}:{waba_id}")
    )


def behind(earlier: int) -> float:
    """Seconds in which so many earlier ones of a conversation may be gone, the pair's pace kept."""
    return max(0.5, _IN_TURN_S * earlier, 6.0 * (earlier - _BURST))


def pair_wait(refusals: int) -> float:
    """Seconds after the ``refusals``-th refusal of a pair in a row: 4^n, as the vendor asks."""
    return min(4.0 ** max(refusals, 1), _LONGEST_PAIR_WAIT_S)


def next_wait(attempts: int, failure: GatewayFailure) -> float | None:
    """Seconds until the next attempt; None when there is none."""
    if not isinstance(failure, GatewayRefused):
        return retry_wait(attempts, None)
    if not failure.retryable:
        return None
    if hold_of(failure) is not None:
        return hold_s(attempts, failure) if attempts < _MOST_HOLDS else None
    if failure.action is Refusal.DEFER:
        return failure.retry_after_s or 86_400.0 if attempts < 4 else None
    return retry_wait(attempts, failure.retry_after_s)


def hold_of(failure: GatewayFailure) -> Literal["number", "account"] | None:
    """What sends too fast as a whole and must pause; None: at most this one message."""
    if isinstance(failure, GatewayRefused) and failure.action is Refusal.RETRY:
        if failure.scope == "number":
            return "number"
        if failure.scope in ("account", "app"):
            return "account"
    return None


def hold_s(attempts: int, failure: GatewayRefused) -> float:
    """Seconds of such a pause: twice as long each time, a minute at most unless they ask more."""
    return max(failure.retry_after_s or 0.0, min(2.0 ** (attempts - 1), _LONGEST_HOLD_S))


def stop_of(failure: GatewayFailure) -> Literal["number", "account", "template"] | None:
    """What must rest until a person has looked; replies of a number that must rest go on."""
    if not isinstance(failure, GatewayRefused):
        return None
    if failure.action is Refusal.AUTH:
        return "number"  # each has a token of its own
    if failure.action is not Refusal.STOP:
        return None
    match failure.scope:
        case "account" | "template" as scope:
            return scope
    return "number"


def is_token_refused(failure: GatewayFailure) -> bool:
    return isinstance(failure, GatewayRefused) and failure.action is Refusal.AUTH


def is_opt_out(failure: GatewayFailure) -> bool:
    return isinstance(failure, GatewayRefused) and failure.code == "131050"
