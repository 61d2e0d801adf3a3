"""Standard Webhooks signatures, when to try again, and how many calls may be under way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from app.contracts.events import Event
from app.contracts.notices import Wording
from app.contracts.platform import WebhookEndpointDisabled

ROTATION = timedelta(hours=24)
"""How long a rotated secret goes on signing beside the new one."""
MAX_ENDPOINTS = 20
MAX_RETIRING = 4
TEST_EVENT = "webhook.test"
_PREFIX = "whsec_"
_LONGEST_WAIT_S = 24 * 3600.0
_LONGEST_TURN_S = 900.0
_OF_A_TENANT = 2


def new_secret() -> str:
    """``whsec_`` and 32 random bytes (Standard Webhooks: 24 to 64)."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(
    keys: Sequence[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers of Standard Webhooks, with one v1 signature per secret; seconds since 1970."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        base64.b64encode(
            hmac.digest(base64.b64decode(key.removeprefix(_PREFIX)), content, hashlib.sha256)
        ).decode()
        for key in keys
    ]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def message_id(event_id: UUID) -> str:
    """What the receiver recognises a repeated delivery by."""
    return f"evt_{event_id.hex}"


def wait_after(
    failures: int, delays_s: Sequence[float], retry_after_s: float | None
) -> float | None:
    """Seconds until the next attempt after so many failures; None when it was the last.

    10 to 20 % longer than the table, so that what failed together does not return together;
    never sooner than the receiver asked (at most a day).
    """
    if failures > len(delays_s):
        return None
    wait = delays_s[failures - 1] * random.uniform(1.1, 1.2)  # noqa: S311 - spread, no secret
    return max(wait, min(retry_after_s or 0.0, _LONGEST_WAIT_S))


def event_types() -> set[str]:
    """Every event there is, by name."""
    found, kinds = set(), [Event]
    while kinds:
        below = kinds.pop().__subclasses__()
        kinds += below
        # One without a name is what several events share, and is never told.
        found |= {kind.name for kind in below if "name" in vars(kind)}
    return found


class Full(Exception):
    """No place for this call now; ``wait_s`` says when its turn should come."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"again in {wait_s:.1f} s")
        self.wait_s = wait_s


class Lanes:
    """How many calls are under way in this process, so that who hangs delays only himself.

    Of ``total`` places for jobs, calls take at most three quarters, one tenant two, and all
    endpoints that are failing a quarter together, one each: a receiver that hangs for 15 s does
    not stand before a healthy one of somebody else, nor before other jobs.
    """

    def __init__(self, total: int) -> None:
        self._all, self._failing = max(2, total * 3 // 4), max(1, total // 4)
        self._busy: Counter[UUID] = Counter()
        self._troubled: set[UUID] = set()
        self._turns: dict[UUID, float] = {}

    @contextmanager
    def place(self, tenant: UUID, endpoint: UUID, *, failing: bool) -> Iterator[None]:
        """Hold a place during a call. Raises Full."""
        no_lane = endpoint in self._troubled or len(self._troubled) >= self._failing
        crowded = self._busy.total() >= self._all or self._busy[tenant] >= _OF_A_TENANT
        if crowded or (failing and no_lane):
            raise Full(self._turn(endpoint, 15.0 if failing else 0.1))
        self._busy[tenant] += 1
        if failing:
            self._troubled.add(endpoint)
        try:
            yield
        finally:
            if failing:
                self._troubled.discard(endpoint)
            self._busy[tenant] -= 1
            if not self._busy[tenant]:
                del self._busy[tenant]

    def _turn(self, endpoint: UUID, pace_s: float) -> float:
        # Each that waits gets a turn of its own: a backlog is no storm of hand-backs.
        now = time.monotonic()
        if len(self._turns) > 10_000:
            self._turns = {one: at for one, at in self._turns.items() if at > now}
        turn = min(max(self._turns.get(endpoint, now), now) + pace_s, now + _LONGEST_TURN_S)
        self._turns[endpoint] = turn
        return turn - now


def disabled_notice(event: WebhookEndpointDisabled) -> Wording:
    """What the people in charge are told when an endpoint was switched off."""
    why = (
        "o destino respondeu que não existe mais (410)"
        if event.reason == "gone"
        else "nenhuma entrega chegou há dias"
    )
    return Wording(
        "Webhook desligado",
        f"Paramos de enviar eventos para {event.url}: {why}. Corrija o destino e ligue de novo.",
        f"/admin/webhooks/{event.webhook_endpoint_id}",
    )
