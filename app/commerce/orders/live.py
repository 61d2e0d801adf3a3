"""What a customer who follows an order is told live, and whether they may go on listening."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.commerce.orders.tracking import token_matches
from app.kernel.realtime.guests import About, Told
from app.kernel.work import Caller


def tell(type_: str, data: dict[str, Any]) -> Told | None:
    """The customer's part of an event: where the order is; never who moved it."""
    if type_ == "commerce.order_status_changed":
        return "status", {"status": data["after"], "before": data["before"]}
    if type_ == "commerce.order_edited":
        return "changed", {"total_cents": data["after_cents"]}
    return None


def about(works: Caller, order_id: UUID, token: str) -> About:
    """One order's events, as long as its token opens it and the shop is there."""

    async def may_stay() -> bool:
        tenant = await works.runtime.tenants.find("id", str(works.tenant.id))
        return (
            tenant is not None
            and tenant.status != "suspended"
            and "commerce" in tenant.modules
            and token_matches(works.runtime.tracking, order_id, token)
        )

    return About("order_id", order_id, tell, may_stay)
