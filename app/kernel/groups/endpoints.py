"""HTTP for groups."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.groups.problems import GrantBeyondYours, GroupNameTaken, GroupNotFound
from app.kernel.groups.schemas import GroupCreate, GroupMembers, GroupRead, GroupUpdate
from app.kernel.groups.service import GroupService, GroupView
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/groups", tags=["groups"], route_class=ReplayableRoute)
Groups = Annotated[GroupService, service(GroupService)]
_READ = require_module("platform", "groups:read")
_WRITE = require_module("platform", "groups:write")


@router.get("", dependencies=[_READ])
async def list_groups(groups: Groups, page: Paging) -> PageRead[GroupRead]:
    """Groups with their grants and members, newest first."""
    return PageRead[GroupRead].model_validate(await groups.listed(page))


@router.post(
    "",
    status_code=201,
    response_model=GroupRead,
    dependencies=[_WRITE, Idempotent],
    responses=problems(GroupNameTaken, GrantBeyondYours),
)
async def create_group(request: Request, body: GroupCreate, groups: Groups) -> GroupView:
    """Add a group that grants the listed module.actions."""
    return await groups.create(request.scope["meta"].identity, body)


@router.get(
    "/{group_id}",
    response_model=GroupRead,
    dependencies=[_READ],
    responses=problems(GroupNotFound),
)
async def get_group(group_id: UUID, groups: Groups) -> GroupView:
    """One group."""
    return await groups.get(group_id)


@router.patch(
    "/{group_id}",
    response_model=GroupRead,
    dependencies=[_WRITE],
    responses=problems(GroupNotFound, GroupNameTaken, GrantBeyondYours),
)
async def update_group(
    request: Request, group_id: UUID, body: GroupUpdate, groups: Groups
) -> GroupView:
    """Rename a group or change its grants; fields left out stay as they are."""
    return await groups.update(request.scope["meta"].identity, group_id, body)


@router.delete(
    "/{group_id}", status_code=204, dependencies=[_WRITE], responses=problems(GroupNotFound)
)
async def delete_group(group_id: UUID, groups: Groups) -> None:
    """Remove a group; its members lose what only it granted."""
    await groups.delete(group_id)


@router.put(
    "/{group_id}/members",
    response_model=GroupRead,
    dependencies=[_WRITE],
    responses=problems(GroupNotFound, GrantBeyondYours),
)
async def set_group_members(
    request: Request, group_id: UUID, body: GroupMembers, groups: Groups
) -> GroupView:
    """Make these users, and nobody else, the group's members."""
    return await groups.set_members(request.scope["meta"].identity, group_id, body.user_ids)
