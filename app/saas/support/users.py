"""HTTP for the people of a tenant, from the central console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import system_admin
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.limits import LimitReached
from app.kernel.sessions.models import UserSession
from app.kernel.sessions.schemas import SessionRead
from app.kernel.tenants.problems import TenantNotFound
from app.kernel.totp.problems import TotpNotOn
from app.kernel.users.models import User
from app.kernel.users.problems import EmailTaken, LastOwner, UserNotFound
from app.kernel.users.schemas import PasswordSet, Role, UserCreate, UserRead, UserUpdate
from app.kernel.work import service
from app.saas.support.service import SupportService

router = APIRouter(
    prefix="/api/v1/admin/central/tenants/{tenant_id}/users",
    tags=["central"],
    route_class=ReplayableRoute,
)
Support = Annotated[SupportService, service(SupportService)]


@router.get("", dependencies=[system_admin()], responses=problems(TenantNotFound))
async def list_users_of_tenant(
    tenant_id: UUID,
    support: Support,
    page: Paging,
    role: Role | None = None,
    is_active: bool | None = None,
) -> PageRead[UserRead]:
    """Who works at a tenant, newest first."""
    found = await support.users(tenant_id, page, role=role, is_active=is_active)
    return PageRead[UserRead].model_validate(found)


@router.post(
    "",
    status_code=201,
    response_model=UserRead,
    dependencies=[system_admin(), Idempotent],
    responses=problems(TenantNotFound, EmailTaken, LimitReached),
)
async def create_user_of_tenant(
    request: Request, tenant_id: UUID, body: UserCreate, support: Support
) -> User:
    """Add a user to a tenant; its plan's limit holds."""
    return await support.create_user(request.scope["meta"].identity, tenant_id, body)


@router.patch(
    "/{user_id}",
    response_model=UserRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, UserNotFound, LastOwner, LimitReached),
)
async def update_user_of_tenant(
    request: Request, tenant_id: UUID, user_id: UUID, body: UserUpdate, support: Support
) -> User:
    """Change name, role or activity; fields left out stay as they are."""
    return await support.update_user(request.scope["meta"].identity, tenant_id, user_id, body)


@router.delete(
    "/{user_id}",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, UserNotFound, LastOwner),
)
async def deactivate_user_of_tenant(
    request: Request, tenant_id: UUID, user_id: UUID, support: Support
) -> None:
    """Deactivate a user: they are logged out, what they did stays."""
    await support.deactivate_user(request.scope["meta"].identity, tenant_id, user_id)


@router.post(
    "/{user_id}/password",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, UserNotFound),
)
async def set_password_of_user(
    request: Request, tenant_id: UUID, user_id: UUID, body: PasswordSet, support: Support
) -> None:
    """Set a user's password; every session of that user ends."""
    who = request.scope["meta"].identity
    await support.set_password(who, tenant_id, user_id, body.password)


@router.delete(
    "/{user_id}/totp",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, UserNotFound, TotpNotOn),
)
async def take_second_factor_off_user(
    request: Request, tenant_id: UUID, user_id: UUID, support: Support
) -> None:
    """Take the second factor off somebody who lost phone and recovery codes."""
    await support.take_off_totp(request.scope["meta"].identity, tenant_id, user_id)


@router.get(
    "/{user_id}/sessions",
    response_model=list[SessionRead],
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, UserNotFound),
)
async def list_sessions_of_user(
    tenant_id: UUID, user_id: UUID, support: Support
) -> Sequence[UserSession]:
    """A user's live sessions, newest first."""
    return await support.sessions(tenant_id, user_id)


@router.delete(
    "/{user_id}/sessions",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, UserNotFound),
)
async def end_sessions_of_user(
    request: Request, tenant_id: UUID, user_id: UUID, support: Support
) -> None:
    """End all sessions of a user."""
    await support.end_sessions(request.scope["meta"].identity, tenant_id, user_id)
