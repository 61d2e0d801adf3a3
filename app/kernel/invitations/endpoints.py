"""HTTP for invitations: sent by who manages users, accepted by who got the letter."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import public, require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.identity import set_session_cookie
from app.kernel.invitations.models import Invitation
from app.kernel.invitations.problems import (
    InvitationEnded,
    InvitationNotFound,
    InvitationNotValid,
    InvitationPending,
    TooManyInvitations,
)
from app.kernel.invitations.schemas import (
    InvitationAccept,
    InvitationCreate,
    InvitationRead,
    InvitationState,
)
from app.kernel.invitations.service import InvitationService, accept
from app.kernel.limits import LimitReached
from app.kernel.mailed import tenant_of_token
from app.kernel.sessions.schemas import LoginRead
from app.kernel.sessions.service import login_read
from app.kernel.users.problems import EmailTaken, RoleAboveYours
from app.kernel.work import runtime_of, service, works_for

admin_router = APIRouter(
    prefix="/api/v1/admin/invitations", tags=["users"], route_class=ReplayableRoute
)
public_router = APIRouter(prefix="/api/v1/auth/invitations", tags=["auth"])
Invitations = Annotated[InvitationService, service(InvitationService)]


@admin_router.get("", dependencies=[require_module("platform", "users:read")])
async def list_invitations(
    invitations: Invitations, page: Paging, state: InvitationState | None = None
) -> PageRead[InvitationRead]:
    """Who was invited, newest first."""
    found = await invitations.listed(page, state=state)
    return PageRead[InvitationRead].model_validate(found)


@admin_router.post(
    "",
    status_code=201,
    response_model=InvitationRead,
    dependencies=[require_module("platform", "users:write"), Idempotent],
    responses=problems(EmailTaken, InvitationPending, LimitReached, RoleAboveYours),
)
async def invite(request: Request, body: InvitationCreate, invitations: Invitations) -> Invitation:
    """Invite somebody by e-mail; the link is good for seven days, once."""
    return await invitations.invite(request.scope["meta"].identity, body)


@admin_router.post(
    "/{invitation_id}/resend",
    response_model=InvitationRead,
    dependencies=[require_module("platform", "users:write"), Idempotent],
    responses=problems(
        InvitationNotFound, InvitationEnded, LimitReached, RoleAboveYours, TooManyInvitations
    ),
)
async def resend_invitation(
    request: Request, invitation_id: UUID, invitations: Invitations
) -> Invitation:
    """Send the letter again with a new link; the old one is worth nothing from then on."""
    return await invitations.resend(request.scope["meta"].identity, invitation_id)


@admin_router.delete(
    "/{invitation_id}",
    status_code=204,
    dependencies=[require_module("platform", "users:write")],
    responses=problems(InvitationNotFound, InvitationEnded, RoleAboveYours),
)
async def revoke_invitation(
    request: Request, invitation_id: UUID, invitations: Invitations
) -> None:
    """Take an invitation back: its link is worth nothing from then on."""
    await invitations.revoke(request.scope["meta"].identity, invitation_id)


@public_router.post(
    "/accept",
    status_code=201,
    dependencies=[public()],
    responses=problems(InvitationNotValid, EmailTaken, LimitReached, TooManyInvitations),
)
async def accept_invitation(
    request: Request, response: Response, body: InvitationAccept
) -> LoginRead:
    """Accept an invitation with the token of the letter: a user of the tenant, logged in."""
    named = request.scope["meta"].tenant
    tenant = await tenant_of_token(runtime_of(request), body.token, named)
    if tenant is None:
        raise InvitationNotValid()
    done = await accept(works_for(request, tenant), body)
    set_session_cookie(response, done.access_token, done.expires_in)
    return login_read(done)
