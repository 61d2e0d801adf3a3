"""When free words may be sent, and how fast: pure functions and figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from app.contracts.gateways.messaging import GatewayFailure, GatewayRefused, Refusal
from app.core.backoff import retry_wait
from app.core.ratelimit import Limit

WINDOW = timedelta(hours=24)
"""Free words are allowed for so long after the contact's last message, by the vendor's clock."""

UNDECIDED_AFTER = timedelta(hours=1)
"""A status that settles an unknown outcome comes within minutes, or hardly ever."""

PAIR = Limit("whatsapp-pair", 45, 270.0)
"""One message in six seconds between a number and a person, 45 at once borrowed from later."""

COEXISTENT_PER_S = 20

NOTIFICATION, REPLY = 5, 10
"""Priorities of jobs: what a person waits for goes first."""

_LONGEST_PAIR_WAIT_S = 4.0**5
_SPAM = "131048"


def is_open(last_inbound_at: datetime | None, at: datetime) -> bool:
    """Whether free words may be sent at ``at``: up to 24 h after the contact's message, not on."""
    return last_inbound_at is not None and at - last_inbound_at < WINDOW


def number_limit(per_second: int, *, is_coexistent: bool) -> Limit:
    """What a number may send, evenly over each second."""
    rate = min(per_second, COEXISTENT_PER_S) if is_coexistent else per_second
    return Limit("whatsapp-number", rate, 1.0)


def pair_wait(refusals: int) -> float:
    """Seconds after the ``refusals``-th refusal of a pair in a row: 4^n, as the vendor asks."""
    return min(4.0 ** max(refusals, 1), _LONGEST_PAIR_WAIT_S)


Ending = Literal["refused", "unavailable"]


def next_wait(attempts: int, failure: GatewayFailure) -> float | None:
    """Seconds until the next attempt; None when there is none."""
    if not isinstance(failure, GatewayRefused):
        return retry_wait(attempts, None)
    if not failure.retryable:
        return None
    if failure.action is Refusal.RETRY_PAIR:
        return pair_wait(attempts)
    if failure.action is Refusal.DEFER:
        return failure.retry_after_s or 86_400.0 if attempts < 4 else None
    return retry_wait(attempts, failure.retry_after_s)


def stops_campaigns(failure: GatewayFailure) -> bool:
    """The vendor takes the number for a sender of spam: campaigns rest, replies go on."""
    return isinstance(failure, GatewayRefused) and failure.code == _SPAM


def is_opt_out(failure: GatewayFailure) -> bool:
    return isinstance(failure, GatewayRefused) and failure.code == "131050"
