"""Idempotency-Key: the stored answer commits with the effects it answers for.

IETF draft-ietf-httpapi-idempotency-key-header-07: same key and request, same answer, once; the
same key with another request is refused. A twin that arrives meanwhile waits on the unique
index, at most ``lock_timeout``. A failed attempt rolls its claim back, so it may be tried again.
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

from app.core.ids import new_id
from app.core.model import TenantModel, unique_within_tenant
from app.core.problems import Problem
from app.kernel.work import UnitOfWork, Work


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
    status: Mapped[int | None]
    media_type: Mapped[str | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


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


# Hand-written on the driver: this runs twice in every checkout (DESIGN §12).
_CLAIM = """
INSERT INTO idempotency_records (id, key, fingerprint) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, key) DO NOTHING RETURNING id
"""
_FIND = "SELECT fingerprint, status, media_type, body FROM idempotency_records WHERE key = $1"
_STORE = """
UPDATE idempotency_records SET status = $2, media_type = $3, body = $4 WHERE id = $1
"""

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
    connection = await work.raw()
    # A concurrent twin waits here on the unique index until the first commits.
    claimed = await connection.fetchval(_CLAIM, new_id(), key, fingerprint)
    if claimed is None:
        found = await connection.fetchrow(_FIND, key)
        if found is None or found["fingerprint"] != fingerprint:
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
        await connection.execute(
            _STORE,
            claimed,
            response.status_code,
            response.media_type or "application/json",
            bytes(response.body),
        )


Idempotent = Depends(_idempotent, scope="function")
"""On every POST that creates, charges or sends; the route's class is ReplayableRoute."""
IdempotencyRequired = Depends(_idempotency_required, scope="function")
"""The same, where acting twice would cost somebody money: no key, no effect."""
