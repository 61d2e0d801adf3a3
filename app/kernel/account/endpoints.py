"""HTTP for one's own account and the team."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import tenant_member
from app.kernel.account.problems import AvatarTooLarge
from app.kernel.account.rules import MemberView
from app.kernel.account.schemas import (
    ProfileRead,
    ProfileUpdate,
    Status,
    StatusSet,
    TeamMemberRead,
)
from app.kernel.account.service import AccountService, set_avatar, update_profile
from app.kernel.files.problems import (
    FileBusy,
    FileTypeMismatch,
    ImageAnimated,
    ImageTooLarge,
    ImageUnreadable,
    StorageUnavailable,
    UnsupportedFile,
)
from app.kernel.limits import LimitReached
from app.kernel.sessions.problems import TooManyLogins, WrongCurrentPassword
from app.kernel.users.problems import EmailTaken
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1", tags=["account"])
Account = Annotated[AccountService, service(AccountService)]
_LARGEST_BYTES = 5_000_000
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_PICTURE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: _BINARY for kind in ("image/jpeg", "image/png", "image/webp")},
    }
}


@router.get("/user/profile", response_model=ProfileRead, dependencies=[tenant_member()])
async def get_profile(request: Request, account: Account) -> MemberView:
    """One's own profile."""
    return await account.view(request.scope["meta"].identity)


@router.patch(
    "/user/profile",
    response_model=ProfileRead,
    dependencies=[tenant_member()],
    responses=problems(EmailTaken, WrongCurrentPassword, TooManyLogins),
)
async def update_own_profile(request: Request, body: ProfileUpdate, works: Works) -> MemberView:
    """Change one's own name, phone or e-mail; fields left out stay as they are."""
    return await update_profile(works, request.scope["meta"].identity, body)


@router.put(
    "/user/avatar",
    response_model=ProfileRead,
    dependencies=[tenant_member()],
    responses=problems(
        UnsupportedFile,
        FileTypeMismatch,
        ImageUnreadable,
        ImageAnimated,
        ImageTooLarge,
        AvatarTooLarge,
        LimitReached,
        FileBusy,
        StorageUnavailable,
    ),
    openapi_extra=_PICTURE,
)
async def set_own_avatar(request: Request, works: Works) -> MemberView:
    """Set one's own picture: the body is a JPEG, PNG or WebP image of up to 5 MB."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    content = await _capped(request)
    who = request.scope["meta"].identity
    return await set_avatar(works.runtime, works, who, kind, content)


@router.delete("/user/avatar", status_code=204, dependencies=[tenant_member()])
async def drop_avatar(request: Request, account: Account) -> None:
    """Remove one's own picture."""
    await account.drop_avatar(request.scope["meta"].identity)


@router.put("/user/status", response_model=ProfileRead, dependencies=[tenant_member()])
async def set_status(request: Request, body: StatusSet, account: Account) -> MemberView:
    """Tell the team that one is online, away or offline; live on the topic `team`."""
    return await account.set_status(request.scope["meta"].identity, body.status)


@router.get("/team", dependencies=[tenant_member()])
async def list_team(
    account: Account,
    page: Paging,
    status: Status | None = None,
    department_id: UUID | None = None,
) -> PageRead[TeamMemberRead]:
    """Active colleagues with presence and departments, newest first."""
    found = await account.team(page, status=status, department_id=department_id)
    return PageRead[TeamMemberRead].model_validate(found)


async def _capped(request: Request) -> bytes:
    # Counted as it arrives: Content-Length is a hint, and chunked bodies have none.
    declared, content = request.headers.get("content-length", ""), bytearray()
    if declared.isdigit() and int(declared) > _LARGEST_BYTES:
        raise AvatarTooLarge()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_BYTES:
            raise AvatarTooLarge()
    return bytes(content)
