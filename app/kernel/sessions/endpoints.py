"""HTTP for identity: log in, log out, who am I, my sessions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.core.problems import problems
from app.kernel.access import (
    ALWAYS_ON,
    MODULES,
    grants_of,
    public,
    require_module,
    tenant_member,
)
from app.kernel.identity import (
    COOKIE,
    CrossSiteRequest,
    refuse_cross_site,
    set_session_cookie,
)
from app.kernel.sessions.models import UserSession
from app.kernel.sessions.problems import (
    ChallengeRefused,
    RefreshRefused,
    SessionNotFound,
    TenantAmbiguous,
    TooManyLogins,
    WrongCredentials,
    WrongCurrentPassword,
)
from app.kernel.sessions.refreshing import refresh
from app.kernel.sessions.schemas import (
    CodeLogin,
    ImpersonatorRead,
    Login,
    LoginChallenge,
    LoginRead,
    MeRead,
    ModuleRead,
    PasswordChange,
    Refresh,
    RefreshRead,
    SessionRead,
)
from app.kernel.sessions.service import (
    Challenged,
    LoggedIn,
    SessionService,
    change_password,
    log_in,
    log_in_anywhere,
    log_in_with_code,
    login_read,
    tenant_of_challenge,
)
from app.kernel.tenancy import TenantRequired
from app.kernel.totp.problems import CodeRefused
from app.kernel.users.problems import RoleAboveYours, UserNotFound
from app.kernel.work import Works, actor_of, runtime_of, service, works_for

router = APIRouter(prefix="/api/v1/auth", tags=["auth"])
modules_router = APIRouter(prefix="/api/v1/admin", tags=["auth"])
users_router = APIRouter(prefix="/api/v1/admin/users", tags=["users"])
Sessions = Annotated[SessionService, service(SessionService)]


@router.post(
    "/login",
    dependencies=[public()],
    responses=problems(WrongCredentials, TooManyLogins, TenantAmbiguous, CrossSiteRequest),
)
async def login(request: Request, response: Response, body: Login) -> LoginRead | LoginChallenge:
    """Log in with e-mail and password; answers a Bearer token and sets the session cookie.

    The tenant may be left out by whoever has one account. Who has a second factor is answered
    `"step": "totp-required"` and goes on with a code.
    """
    _refuse_cross_site(request)
    runtime, tenant = runtime_of(request), request.scope["meta"].tenant
    given = (body.email, body.password, body.device)
    if tenant is not None:
        done = await log_in(works_for(request, tenant), *given)
    else:
        of = partial(works_for, request)
        done = await log_in_anywhere(runtime, of, actor_of(request.scope["meta"]), *given)
    if isinstance(done, Challenged):
        return LoginChallenge(challenge=done.challenge, expires_in=done.expires_in)
    return _logged_in(response, done)


@router.post(
    "/login/totp",
    dependencies=[public()],
    responses=problems(ChallengeRefused, CodeRefused, TooManyLogins, CrossSiteRequest),
)
async def login_with_code(request: Request, response: Response, body: CodeLogin) -> LoginRead:
    """The second step of a login: a code of the authenticator app, or a recovery code.

    The challenge knows its tenant: who named none in the first step needs none here.
    """
    _refuse_cross_site(request)
    tenant = request.scope["meta"].tenant
    if tenant is None:
        tenant = await tenant_of_challenge(runtime_of(request), body.challenge)
    works = works_for(request, tenant)
    done = await log_in_with_code(works, body.challenge, body.code, body.device)
    return _logged_in(response, done)


@router.post(
    "/refresh",
    dependencies=[public()],
    responses=problems(RefreshRefused, TenantRequired, CrossSiteRequest),
)
async def refresh_tokens(
    request: Request, response: Response, body: Refresh, works: Works
) -> RefreshRead:
    """Exchange a refresh token for a new pair; using an old one again ends the session."""
    _refuse_cross_site(request)
    pair = await refresh(works, body.refresh_token)
    set_session_cookie(response, pair.access_token, int(pair.expires_in))
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


@router.post("/logout", status_code=204, dependencies=[tenant_member(also_impersonated=True)])
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
    granted, by = grants_of(who), who.impersonator
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
        impersonated_by=by and ImpersonatorRead(name=by.name, expires_at=by.expires_at),
        first_access_test=tenant.first_access_test,
    )


@modules_router.get("/modules", dependencies=[tenant_member()])
async def list_modules(request: Request) -> list[ModuleRead]:
    """Which modules there are, and what this member may do in each."""
    meta = request.scope["meta"]
    on, granted = meta.tenant.modules | ALWAYS_ON, grants_of(meta.identity)
    found = []
    for module, actions in sorted(MODULES.items()):
        areas: dict[str, list[str]] = {}
        for action in sorted(actions):
            if module in on and f"{module}.{action}" in granted:
                area, _, may = action.partition(":")
                areas.setdefault(area, []).append(may)
        found.append(
            ModuleRead(name=module, is_on=module in on, is_visible=bool(areas), areas=areas)
        )
    return found


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


@users_router.get(
    "/{user_id}/sessions",
    response_model=list[SessionRead],
    dependencies=[require_module("platform", "users:read")],
    responses=problems(UserNotFound),
)
async def list_sessions_of(user_id: UUID, sessions: Sessions) -> Sequence[UserSession]:
    """A user's live sessions, newest first."""
    return await sessions.of_user(user_id)


@users_router.delete(
    "/{user_id}/sessions",
    status_code=204,
    dependencies=[require_module("platform", "users:write")],
    responses=problems(UserNotFound, RoleAboveYours),
)
async def end_sessions_of(request: Request, user_id: UUID, sessions: Sessions) -> None:
    """End all sessions of a user."""
    await sessions.end_of_user(request.scope["meta"].identity, user_id, None)


@users_router.delete(
    "/{user_id}/sessions/{session_id}",
    status_code=204,
    dependencies=[require_module("platform", "users:write")],
    responses=problems(UserNotFound, SessionNotFound, RoleAboveYours),
)
async def end_session_of(
    request: Request, user_id: UUID, session_id: UUID, sessions: Sessions
) -> None:
    """End one session of a user."""
    await sessions.end_of_user(request.scope["meta"].identity, user_id, session_id)


def _refuse_cross_site(request: Request) -> None:
    settings = runtime_of(request).settings
    refuse_cross_site(request.scope["meta"], settings.cors_allowed_origins)


def _logged_in(response: Response, done: LoggedIn) -> LoginRead:
    set_session_cookie(response, done.access_token, done.expires_in)
    return login_read(done)
