"""HTTP for identity: log in, log out, who am I, my sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.core.problems import problems
from app.kernel.access import ALWAYS_ON, MODULES, effective_grants, public, tenant_member
from app.kernel.identity import COOKIE, refuse_cross_site
from app.kernel.sessions.models import UserSession
from app.kernel.sessions.problems import SessionNotFound, TooManyLogins, WrongCredentials
from app.kernel.sessions.schemas import Login, LoginRead, MemberRead, MeRead, SessionRead
from app.kernel.sessions.service import SessionService, log_in
from app.kernel.tenancy import TenantRequired
from app.kernel.work import Works, runtime_of, service

router = APIRouter(prefix="/api/v1/auth", tags=["auth"])
Sessions = Annotated[SessionService, service(SessionService)]


@router.post(
    "/login",
    dependencies=[public()],
    responses=problems(WrongCredentials, TooManyLogins, TenantRequired),
)
async def login(request: Request, response: Response, body: Login, works: Works) -> LoginRead:
    """Log in with e-mail and password; answers a Bearer token and sets the session cookie."""
    settings = runtime_of(request).settings
    refuse_cross_site(request.scope["meta"], settings.cors_allowed_origins)
    done = await log_in(works, body.email, body.password)
    response.set_cookie(
        COOKIE,
        done.access_token,
        max_age=done.expires_in,
        path="/",
        httponly=True,
        # Browsers treat localhost as secure, so development needs no exception.
        secure=True,
        samesite="lax",
    )
    return LoginRead(
        access_token=done.access_token,
        expires_in=done.expires_in,
        session_id=done.session.id,
        user=MemberRead.model_validate(done.user),
    )


@router.post("/logout", status_code=204, dependencies=[tenant_member()])
async def logout(request: Request, response: Response, sessions: Sessions) -> None:
    """End the current session."""
    await sessions.log_out(request.scope["meta"].identity)
    response.delete_cookie(COOKIE, path="/", httponly=True, secure=True, samesite="lax")


@router.get("/me", dependencies=[tenant_member()])
async def who_am_i(request: Request) -> MeRead:
    """The member behind the session, with what they may do."""
    meta = request.scope["meta"]
    who, tenant = meta.identity, meta.tenant
    on = tenant.modules | ALWAYS_ON
    granted = effective_grants(who.role, who.group_grants)
    return MeRead(
        id=who.user_id,
        email=who.email,
        name=who.name,
        role=who.role,
        session_id=who.session_id,
        tenant_id=tenant.id,
        tenant_slug=tenant.slug,
        tenant_name=tenant.name,
        modules=sorted(m for m in MODULES if m in on),
        grants=sorted(g for g in granted if g.partition(".")[0] in on),
    )


@router.get("/sessions", response_model=list[SessionRead], dependencies=[tenant_member()])
async def list_own_sessions(request: Request, sessions: Sessions) -> Sequence[UserSession]:
    """One's own live sessions, newest first."""
    return await sessions.own(request.scope["meta"].identity)


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    dependencies=[tenant_member()],
    responses=problems(SessionNotFound),
)
async def end_own_session(request: Request, session_id: UUID, sessions: Sessions) -> None:
    """End one of one's own sessions, e.g. on a lost phone."""
    await sessions.end(request.scope["meta"].identity, session_id)
