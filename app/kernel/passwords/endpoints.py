"""HTTP for a forgotten password."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request

from app.core.problems import problems
from app.kernel.access import public
from app.kernel.mailed import tenant_of_token
from app.kernel.passwords.problems import ResetNotValid, TooManyResets
from app.kernel.passwords.schemas import PasswordForgot, PasswordReset
from app.kernel.passwords.service import forgot, reset, throttle
from app.kernel.sessions.service import tenants_of
from app.kernel.work import actor_of, runtime_of, works_for

router = APIRouter(prefix="/api/v1/auth/password", tags=["auth"])


@router.post("/forgot", status_code=204, dependencies=[public()], responses=problems(TooManyResets))
async def forgot_password(request: Request, body: PasswordForgot) -> None:
    """Send a link for a new password, if there is such an account: the answer does not tell.

    Without a tenant each account of the e-mail gets its own letter.
    """
    runtime, named = runtime_of(request), request.scope["meta"].tenant
    await throttle(runtime, actor_of(request.scope["meta"]), body.email)
    tenants = [named] if named is not None else await tenants_of(runtime, body.email)
    await forgot(partial(works_for, request), tenants, body.email)


@router.post(
    "/reset",
    status_code=204,
    dependencies=[public()],
    responses=problems(ResetNotValid, TooManyResets),
)
async def reset_password(request: Request, body: PasswordReset) -> None:
    """Set a new password with the token of the letter; every session of the account ends."""
    named = request.scope["meta"].tenant
    tenant = await tenant_of_token(runtime_of(request), body.token, named)
    if tenant is None:
        raise ResetNotValid()
    await reset(works_for(request, tenant), body.token, body.password)
