"""HTTP for the people of a tenant."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.limits import LimitReached
from app.kernel.users.models import User
from app.kernel.users.problems import EmailTaken, LastOwner, RoleAboveYours, UserNotFound
from app.kernel.users.schemas import PasswordSet, Role, UserCreate, UserRead, UserUpdate
from app.kernel.users.service import UserService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/users", tags=["users"], route_class=ReplayableRoute)
Users = Annotated[UserService, service(UserService)]


@router.get("", dependencies=[require_module("platform", "users:read")])
async def list_users(
    users: Users, page: Paging, role: Role | None = None, is_active: bool | None = None
) -> PageRead[UserRead]:
    """Who works here, newest first."""
    found = await users.listed(page, role=role, is_active=is_active)
    return PageRead[UserRead].model_validate(found)


@router.post(
    "",
    status_code=201,
    response_model=UserRead,
    dependencies=[require_module("platform", "users:write"), Idempotent],
    responses=problems(EmailTaken, LimitReached, RoleAboveYours),
)
async def create_user(request: Request, body: UserCreate, users: Users) -> User:
    """Add a user with a first password."""
    return await users.create(request.scope["meta"].identity, body)


@router.get(
    "/{user_id}",
    response_model=UserRead,
    dependencies=[require_module("platform", "users:read")],
    responses=problems(UserNotFound),
)
async def get_user(user_id: UUID, users: Users) -> User:
    """One user."""
    return await users.get(user_id)


@router.patch(
    "/{user_id}",
    response_model=UserRead,
    dependencies=[require_module("platform", "users:write")],
    responses=problems(UserNotFound, LastOwner, LimitReached, RoleAboveYours),
)
async def update_user(request: Request, user_id: UUID, body: UserUpdate, users: Users) -> User:
    """Change a user's name, role or activity; fields left out stay as they are."""
    return await users.update(request.scope["meta"].identity, user_id, body)


@router.post(
    "/{user_id}/password",
    status_code=204,
    dependencies=[require_module("platform", "users:write")],
    responses=problems(UserNotFound, RoleAboveYours),
)
async def set_password(request: Request, user_id: UUID, body: PasswordSet, users: Users) -> None:
    """Set a user's password; every session of that user ends."""
    await users.set_password(request.scope["meta"].identity, user_id, body.password)


@router.delete(
    "/{user_id}",
    status_code=204,
    dependencies=[require_module("platform", "users:write")],
    responses=problems(UserNotFound, LastOwner, RoleAboveYours),
)
async def deactivate_user(request: Request, user_id: UUID, users: Users) -> None:
    """Deactivate a user: they are logged out, what they did stays."""
    await users.deactivate(request.scope["meta"].identity, user_id)
