"""HTTP for plans: the public price list, and the platform's desk where it is made."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from app.core.problems import problems
from app.kernel.access import public, system_admin
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import runtime_of, service
from app.saas.plans.models import Plan
from app.saas.plans.problems import PlanCodeTaken, PlanInUse, PlanNotFound, PlanPriceTaken
from app.saas.plans.schemas import OfferList, PlanCreate, PlanList, PlanRead, PlanUpdate
from app.saas.plans.service import PlanService, offered_plans

public_router = APIRouter(prefix="/api/v1/plans", tags=["plans"])
central_router = APIRouter(
    prefix="/api/v1/admin/central/plans", tags=["central"], route_class=ReplayableRoute
)
Plans = Annotated[PlanService, service(PlanService)]
PlanCode = Annotated[str, Path(max_length=40, examples=["pro"])]


@public_router.get("", dependencies=[public()])
async def list_offers(request: Request) -> OfferList:
    """The plans on sale, in the order of the price list; a limit that is absent is unlimited."""
    return OfferList.model_validate({"items": await offered_plans(runtime_of(request))})


@central_router.get("", dependencies=[system_admin()])
async def list_plans(plans: Plans) -> PlanList:
    """Every plan, also those off sale."""
    return PlanList.model_validate({"items": await plans.listed()})


@central_router.post(
    "",
    status_code=201,
    response_model=PlanRead,
    dependencies=[system_admin(), Idempotent],
    responses=problems(PlanCodeTaken, PlanPriceTaken),
)
async def create_plan(body: PlanCreate, plans: Plans) -> Plan:
    """Add a plan."""
    return await plans.create(body)


@central_router.get(
    "/{code}",
    response_model=PlanRead,
    dependencies=[system_admin()],
    responses=problems(PlanNotFound),
)
async def get_plan(code: PlanCode, plans: Plans) -> Plan:
    """One plan."""
    return await plans.get(code)


@central_router.patch(
    "/{code}",
    response_model=PlanRead,
    dependencies=[system_admin()],
    responses=problems(PlanNotFound, PlanPriceTaken),
)
async def update_plan(code: PlanCode, body: PlanUpdate, plans: Plans) -> Plan:
    """Change a plan; tenants on it keep what they have until it is applied to them again."""
    return await plans.update(code, body)


@central_router.delete(
    "/{code}",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(PlanNotFound, PlanInUse),
)
async def delete_plan(code: PlanCode, plans: Plans) -> None:
    """Delete a plan that no tenant is on."""
    await plans.remove(code)
