"""HTTP for beginning: sign up, register, the organization and its onboarding."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from app.core.problems import problems
from app.kernel.access import public, require_module, tenant_member
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.identity import CrossSiteRequest, refuse_cross_site, set_session_cookie
from app.kernel.sessions.schemas import LoginRead
from app.kernel.sessions.service import LoggedIn, login_read
from app.kernel.tenancy import TenantRequired
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import OrganizationSlugTaken
from app.kernel.usage.schemas import UsageRead
from app.kernel.usage.service import UsageService
from app.kernel.work import Works, actor_of, runtime_of, service
from app.saas.onboarding.problems import TenantHasUsers, TooManySignups
from app.saas.onboarding.schemas import (
    OnboardingRead,
    OnboardingUpdate,
    OrganizationCreate,
    OrganizationRead,
    OrganizationUpdate,
    Register,
    SignUp,
)
from app.saas.onboarding.service import OrganizationService, register, sign_up
from app.saas.plans.problems import PlanNotFound, PlanNotOffered

auth_router = APIRouter(prefix="/api/v1/auth", tags=["auth"])
router = APIRouter(
    prefix="/api/v1/organizations", tags=["organizations"], route_class=ReplayableRoute
)
admin_router = APIRouter(prefix="/api/v1/admin/onboarding", tags=["organizations"])
Organizations = Annotated[OrganizationService, service(OrganizationService)]
Usage = Annotated[UsageService, service(UsageService)]
_WRITE = require_module("platform", "organization:write")


@auth_router.post(
    "/register",
    status_code=201,
    dependencies=[public()],
    responses=problems(
        OrganizationSlugTaken, PlanNotFound, PlanNotOffered, TooManySignups, CrossSiteRequest
    ),
)
async def register_organization(request: Request, response: Response, body: Register) -> LoginRead:
    """Begin with an organization of one's own: its owner, logged in, on a trial of 14 days.

    A plan that costs nothing needs no trial.
    """
    runtime = runtime_of(request)
    refuse_cross_site(request.scope["meta"], runtime.settings.cors_allowed_origins)
    return _logged_in(response, await register(runtime, actor_of(request.scope["meta"]), body))


@auth_router.post(
    "/signup",
    status_code=201,
    dependencies=[public()],
    responses=problems(TenantHasUsers, TenantRequired, TooManySignups, CrossSiteRequest),
)
async def sign_up_first_user(
    request: Request, response: Response, body: SignUp, works: Works
) -> LoginRead:
    """Become the owner of a tenant that has no user yet."""
    origins = runtime_of(request).settings.cors_allowed_origins
    refuse_cross_site(request.scope["meta"], origins)
    return _logged_in(response, await sign_up(works, body))


def _logged_in(response: Response, done: LoggedIn) -> LoginRead:
    set_session_cookie(response, done.access_token, done.expires_in)
    return login_read(done)


@router.post(
    "",
    status_code=201,
    response_model=OrganizationRead,
    dependencies=[tenant_member(), Idempotent],
    responses=problems(OrganizationSlugTaken, PlanNotFound, PlanNotOffered, TooManySignups),
)
async def create_organization(
    request: Request, body: OrganizationCreate, organizations: Organizations
) -> Tenant:
    """Another organization of one's own; log in to it with the same e-mail and password."""
    return await organizations.create(request.scope["meta"].identity, body)


@router.get("/me", response_model=OrganizationRead, dependencies=[tenant_member()])
async def show_own_organization(organizations: Organizations) -> Tenant:
    """The organization one works for."""
    return await organizations.mine()


@router.patch("/me", response_model=OrganizationRead, dependencies=[_WRITE])
async def update_own_organization(body: OrganizationUpdate, organizations: Organizations) -> Tenant:
    """Change the organization's name, time zone or language; what is left out stays."""
    return await organizations.update(body)


@router.get("/me/usage", dependencies=[tenant_member()])
async def show_own_usage(usage: Usage) -> UsageRead:
    """The organization's plan, its limits, and what is used of each."""
    return await usage.shown()


@router.post("/me/complete-onboarding", response_model=OrganizationRead, dependencies=[_WRITE])
async def complete_onboarding(organizations: Organizations) -> Tenant:
    """Say that the organization is set up; a second time changes nothing."""
    return await organizations.complete()


@admin_router.get("", dependencies=[tenant_member()])
async def show_onboarding(organizations: Organizations) -> OnboardingRead:
    """How far the organization is with its first steps."""
    return await organizations.onboarding()


@admin_router.patch("", dependencies=[_WRITE])
async def answer_onboarding(body: OnboardingUpdate, organizations: Organizations) -> OnboardingRead:
    """Keep answers of the first screens; those given before and not named stay."""
    return await organizations.answer(body)
