"""Idempotency-Key: the stored answer commits with the effects it answers for.

IETF draft-ietf-httpapi-idempotency-key-header-07: same key and request, same answer, once; the
same key with another request is refused. A twin that arrives meanwhile waits on the key's lock,
at most ``lock_timeout``. A failed attempt leaves nothing, so it may be tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, unique_within_tenant
from app.core.problems import Problem
from app.kernel.work import Answer, UnitOfWork, Work


class IdempotencyKeyReused(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency-key-reused"
    title = "This Idempotency-Key was used for a different request: use a new key."


class IdempotencyKeyMissing(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "idempotency-key-missing"
    title = "Send an Idempotency-Key header (a UUID): a retry then never acts twice."


class IdempotencyRecord(TenantModel):
    __tablename__ = "idempotency_records"
    __table_args__ = (unique_within_tenant("key"),)

    key: Mapped[str]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    media_type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)


class _Replay(Exception):  # not an error: it carries the stored answer past the endpoint
    def __init__(self, response: Response) -> None:
        self.response = response


class ReplayableRoute(APIRoute):
    """Shows the finished response to function-scoped dependencies before they exit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response = await handle(request)
            except _Replay as replay:
                return replay.response
            request.state.response = response
            return response

        return handler


# One trip and no write: the lock keeps twins apart, the answer is stored by the Work's last
# statement. A claim row would be written twice and leave a dead version behind every order.
_CLAIM = "SELECT fingerprint, status, media_type, body FROM claim_idempotency($1)"

_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        description="Unique per intent, e.g. a UUID; a retry with the same key acts once.",
        examples=["7f9c6f1e-6d0b-4a39-9f3b-0f6f1f6a8a11"],
    ),
]


async def _idempotent(request: Request, work: Work, key: _Key = None) -> AsyncIterator[None]:
    if key is None:
        yield
        return
    async for _ in _once(request, work, key):
        yield


async def _idempotency_required(
    request: Request, work: Work, key: _Key = None
) -> AsyncIterator[None]:
    if key is None:
        raise IdempotencyKeyMissing()
    async for _ in _once(request, work, key):
        yield


async def _once(request: Request, work: UnitOfWork, key: str) -> AsyncIterator[None]:
    body = await request.body()
    digest = hashlib.sha256(f"{request.method} {request.scope['path']}\n".encode())
    digest.update(body)
    fingerprint = digest.digest()
    # A concurrent twin waits here for the lock until the first commits.
    found = await (await work.raw()).fetchrow(_CLAIM, key)
    if found is not None:
        if found["fingerprint"] != fingerprint:
            raise IdempotencyKeyReused()
        raise _Replay(
            Response(
                found["body"],
                found["status"],
                {"Idempotency-Replayed": "true"},
                found["media_type"],
            )
        )
    yield
    response: Response | None = getattr(request.state, "response", None)
    if response is not None:
        kind = response.media_type or "application/json"
        work.keep_answer(Answer(key, fingerprint, response.status_code, kind, bytes(response.body)))


Idempotent = Depends(_idempotent, scope="function")
"""On every POST that creates, charges or sends; the route's class is ReplayableRoute."""
IdempotencyRequired = Depends(_idempotency_required, scope="function")
"""The same, where acting twice would cost somebody money: no key, no effect."""
