"""Which subscription counts, and what its state means for the tenant; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from app.contracts.gateways.billing import RemoteSubscription
from app.contracts.notices import Wording
from app.contracts.saas import SubscriptionDoubled

Standing = Literal["trialing", "active", "past_due", "canceled", "unpaid"]

_STANDING: dict[str, Standing] = {
    "active": "active",
    "trialing": "trialing",
    "past_due": "past_due",
    "unpaid": "unpaid",
    "paused": "unpaid",  # a trial that ended without a way to pay
    "canceled": "canceled",
}
"""Stripe's states by ours, best first; incomplete ones were never paid and count for nothing."""

_RANK = {status: rank for rank, status in enumerate(_STANDING)}
LIVE = frozenset({"active", "trialing", "past_due", "unpaid", "paused"})
"""States in which the vendor goes on charging: a second subscription would be paid beside it."""


def current(subscriptions: Iterable[RemoteSubscription]) -> RemoteSubscription | None:
    """The one that counts: of the best state, of those the newest. None: nothing was ever paid.

    A function of what the vendor has now and of nothing else, so the order in which notices
    arrive cannot matter.
    """
    paid = [s for s in subscriptions if s.status in _STANDING]
    return min(paid, key=lambda s: (_RANK[s.status], -s.created_at.timestamp(), s.id), default=None)


def beside(
    subscriptions: Iterable[RemoteSubscription], counting: RemoteSubscription | None
) -> list[str]:
    """Those that are charged beside the one that counts, sorted."""
    others = (s for s in subscriptions if s != counting and s.status in LIVE)
    return sorted(s.id for s in others)


def doubled_notice(event: SubscriptionDoubled) -> Wording:
    """What the people in charge are told when they pay twice."""
    return Wording(
        "Há mais de uma assinatura ativa",
        f"Além da atual, {len(event.subscription_ids)} outra(s) continua(m) sendo cobrada(s): "
        f"{', '.join(event.subscription_ids)}. Abra o portal de pagamentos e encerre o que sobra.",
        "/admin/billing",
    )


def standing(status: str) -> Standing:
    """What the vendor's state of a counting subscription is for us."""
    return _STANDING[status]


def is_news(
    happened_at: datetime, event_id: str, last_at: datetime | None, last_id: str | None
) -> bool:
    """Whether a notice is newer than the last one applied; of one instant the larger id wins."""
    return last_at is None or (happened_at, event_id) > (last_at, last_id or "")
