"""HTTP for shipping: quotes for anybody, rules and simulation for the merchant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.commerce.shipping.models import ShippingRule
from app.commerce.shipping.problems import (
    DeliveryClosed,
    OutOfDeliveryArea,
    ShippingRuleNotFound,
    TooManyShippingRules,
)
from app.commerce.shipping.schemas import (
    QuoteRead,
    QuoteRequest,
    RuleCreate,
    RuleList,
    RuleRead,
    RuleUpdate,
    SimulationRead,
    SimulationRequest,
)
from app.commerce.shipping.service import ShippingService, quoted, simulated
from app.commerce.stores.problems import StoreNotFound
from app.core.pagination import Page, PageRead
from app.core.problems import TooMany, problems
from app.kernel.access import public, require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1", tags=["shipping"], route_class=ReplayableRoute)
Shipping = Annotated[ShippingService, service(ShippingService)]
_READ = require_module("commerce", "shipping:read")
_WRITE = require_module("commerce", "shipping:write")


@router.post(
    "/shipping/quote",
    dependencies=[public("commerce")],
    responses=problems(StoreNotFound, DeliveryClosed, OutOfDeliveryArea, TooMany),
)
async def quote_delivery(body: QuoteRequest, works: Works) -> QuoteRead:
    """What a delivery to this postal code costs, signed and good for half an hour."""
    return await quoted(works, body)


@router.get("/admin/shipping/rules", dependencies=[_READ], responses=problems(StoreNotFound))
async def list_rules(store_id: UUID, shipping: Shipping) -> PageRead[RuleRead]:
    """A store's rules by position, all of them: a store has at most 200."""
    return _whole(await shipping.rules(store_id))


@router.post(
    "/admin/shipping/rules",
    status_code=201,
    response_model=RuleRead,
    dependencies=[_WRITE, Idempotent],
    responses=problems(StoreNotFound, TooManyShippingRules),
)
async def create_rule(body: RuleCreate, shipping: Shipping) -> ShippingRule:
    """Add a rule to a store; rules are tried in the order of their positions."""
    return await shipping.create(body)


@router.patch(
    "/admin/shipping/rules/{rule_id}",
    response_model=RuleRead,
    dependencies=[_WRITE],
    responses=problems(ShippingRuleNotFound),
)
async def update_rule(rule_id: UUID, body: RuleUpdate, shipping: Shipping) -> ShippingRule:
    """Change the fields sent; the kind stays."""
    return await shipping.update(rule_id, body)


@router.delete(
    "/admin/shipping/rules/{rule_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(ShippingRuleNotFound),
)
async def delete_rule(rule_id: UUID, shipping: Shipping) -> None:
    """Remove a rule."""
    await shipping.remove(rule_id)


@router.put(
    "/admin/shipping/stores/{store_id}/rules",
    dependencies=[_WRITE],
    responses=problems(StoreNotFound),
)
async def replace_rules(store_id: UUID, body: RuleList, shipping: Shipping) -> PageRead[RuleRead]:
    """Replace a store's whole list in one go; the order of the list is the order of trial."""
    return _whole(await shipping.replace(store_id, body))


@router.post("/admin/shipping/simulate", dependencies=[_READ], responses=problems(StoreNotFound))
async def simulate_delivery(body: SimulationRequest, works: Works) -> SimulationRead:
    """Price an address and see which rule took it, also while the store is closed."""
    return await simulated(works, body)


def _whole(rules: Sequence[ShippingRule]) -> PageRead[RuleRead]:
    return PageRead[RuleRead].model_validate(Page(rules, None))
