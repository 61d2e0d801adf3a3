"""HTTP for the second factor; the login's second step is with the sessions."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from app.core.problems import problems
from app.kernel.access import require_module, tenant_member
from app.kernel.sessions.problems import TooManyLogins, WrongCurrentPassword
from app.kernel.totp import enrolment
from app.kernel.totp.enrolment import Offer, State
from app.kernel.totp.problems import CodeRefused, TotpAlreadyOn, TotpNotOffered, TotpNotOn
from app.kernel.totp.schemas import (
    PasswordAgain,
    RecoveryCodesRead,
    TotpCode,
    TotpOfferRead,
    TotpStateRead,
)
from app.kernel.users.problems import RoleAboveYours, UserNotFound
from app.kernel.work import Work, Works

router = APIRouter(prefix="/api/v1", tags=["auth"])


@router.get("/auth/totp", response_model=TotpStateRead, dependencies=[tenant_member()])
async def get_totp(request: Request, work: Work) -> State:
    """Whether one's own second factor is on."""
    return await enrolment.state(work, request.scope["meta"].identity)


@router.post(
    "/auth/totp",
    response_model=TotpOfferRead,
    dependencies=[tenant_member()],
    responses=problems(TotpAlreadyOn, WrongCurrentPassword, TooManyLogins),
)
async def offer_totp(request: Request, body: PasswordAgain, works: Works) -> Offer:
    """Begin: a secret for an authenticator app, as text, URI and QR code."""
    return await enrolment.offer(works, request.scope["meta"].identity, body.password)


@router.post(
    "/auth/totp/confirm",
    dependencies=[tenant_member()],
    responses=problems(TotpNotOffered, TotpAlreadyOn, CodeRefused, TooManyLogins),
)
async def confirm_totp(request: Request, body: TotpCode, works: Works) -> RecoveryCodesRead:
    """Switch it on with a first code; all other sessions end. Answers ten recovery codes."""
    codes = await enrolment.confirm(works, request.scope["meta"].identity, body.code)
    return RecoveryCodesRead(recovery_codes=codes)


@router.post(
    "/auth/totp/disable",
    status_code=204,
    dependencies=[tenant_member()],
    responses=problems(TotpNotOn, WrongCurrentPassword, TooManyLogins),
)
async def disable_totp(request: Request, body: PasswordAgain, works: Works) -> None:
    """Switch one's own second factor off."""
    await enrolment.switch_off(works, request.scope["meta"].identity, body.password)


@router.delete(
    "/admin/users/{user_id}/totp",
    status_code=204,
    tags=["users"],
    dependencies=[require_module("platform", "users:write")],
    responses=problems(UserNotFound, RoleAboveYours, TotpNotOn),
)
async def reset_totp(request: Request, user_id: UUID, work: Work) -> None:
    """Take the second factor off somebody who lost phone and recovery codes."""
    await enrolment.reset_of(work, request.scope["meta"].identity, user_id)
