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
from app.kernel.sessions.problems import (
    RefreshRefused,
    SessionNotFound,
    TooManyLogins,
    WrongCredentials,
    WrongCurrentPassword,
)
from app.kernel.sessions.schemas import (
    Login,
    LoginRead,
    MemberRead,
    MeRead,
    PasswordChange,
    Refresh,
    RefreshRead,
    SessionRead,
)
from app.kernel.sessions.service import SessionService, change_password, log_in, refresh
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
    _set_cookie(response, done.access_token, done.expires_in)
    return LoginRead(
        access_token=done.access_token,
        expires_in=done.expires_in,
        refresh_token=done.refresh_token,
        session_id=done.session.id,
        user=MemberRead.model_validate(done.user),
    )


@router.post(
    "/refresh",
    dependencies=[public()],
    responses=problems(RefreshRefused, TenantRequired),
)
async def refresh_tokens(
    request: Request, response: Response, body: Refresh, works: Works
) -> RefreshRead:
    """Exchange a refresh token for a new pair; using an old one again ends the session."""
    settings = runtime_of(request).settings
    refuse_cross_site(request.scope["meta"], settings.cors_allowed_origins)
    pair = await refresh(works, body.refresh_token)
    _set_cookie(response, pair.access_token, int(pair.expires_in))
    return RefreshRead(
        access_token=pair.access_token,
        expires_in=int(pair.expires_in),
        refresh_token=pair.refresh_token,
    )


@router.post(
    "/password/change",
    status_code=204,
    dependencies=[tenant_member()],
    responses=problems(WrongCurrentPassword, TooManyLogins),
)
async def change_own_password(request: Request, body: PasswordChange, works: Works) -> None:
    """Set one's own password; all other sessions end."""
    who = request.scope["meta"].identity
    await change_password(works, who, body.current_password, body.password)


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


def _set_cookie(response: Response, token: str, life_s: int) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=life_s,
        path="/",
        httponly=True,
        # Browsers treat localhost as secure, so development needs no exception.
        secure=True,
        samesite="lax",
    )
