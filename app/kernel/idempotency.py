"""Idempotency-Key: the stored answer commits with the effects it answers for.

IETF draft-ietf-httpapi-idempotency-key-header-07: same key and request, same answer, once; the
same key with another request is refused. A twin that arrives meanwhile waits on the key's lock,
at most ``lock_timeout``. A failed attempt leaves nothing, so it may be tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, unique_within_tenant
from app.core.problems import Problem
from app.kernel.telling import Answer
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
    __goes_by_trigger__ = True
    __table_args__ = (unique_within_tenant("key"),)

    key: Mapped[str]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    media_type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)


@dataclass(frozen=True, slots=True)
class Intent:
    """What a client wants done once: its key, and the digest of what it asked with it."""

    key: str
    fingerprint: bytes

    @classmethod
    def of(cls, key: str, path: str, body: bytes, method: str = "POST") -> Intent:
        """What a request with this key asks for."""
        digest = hashlib.sha256(f"{method} {path}\n".encode())
        digest.update(body)
        return cls(key, digest.digest())

    async def answered(self, work: UnitOfWork) -> Answer | None:
        """What this intent was answered before; None: it is now ours until ``work`` ends.

        A concurrent twin waits here until the first commits. Raises IdempotencyKeyReused.
        """
        found = await (await work.raw()).fetchrow(_CLAIM, self.key)
        if found is None:
            return None
        if found["fingerprint"] != self.fingerprint:
            raise IdempotencyKeyReused()
        return self.answer(found["status"], found["body"], found["media_type"])

    def answer(self, status: int, body: bytes, media_type: str = "application/json") -> Answer:
        """The answer that ``Work.keep_answer`` stores for this intent."""
        return Answer(self.key, self.fingerprint, status, media_type, body)


def replayed(answer: Answer) -> Response:
    """A stored answer as the response it was, and the word that it is an old one."""
    headers = {"Idempotency-Replayed": "true"}
    return Response(answer.body, answer.status, headers, answer.media_type)


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

KEY_LENGTH = (8, 200)
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=KEY_LENGTH[0],
        max_length=KEY_LENGTH[1],
        description="Unique per intent, e.g. a UUID; a retry with the same key acts once.",
        examples=["7f9c6f1e-6d0b-4a39-9f3b-0f6f1f6a8a11"],
    ),
]


async def _idempotent(
    request: Request, work: Work, key: IdempotencyKey = None
) -> AsyncIterator[None]:
    if key is None:
        yield
        return
    intent = await intent_of(request, key)
    found = await intent.answered(work)
    if found is not None:
        raise _Replay(replayed(found))
    yield
    response: Response | None = getattr(request.state, "response", None)
    if response is not None:
        kind = response.media_type or "application/json"
        work.keep_answer(intent.answer(response.status_code, bytes(response.body), kind))


async def intent_of(request: Request, key: str | None) -> Intent:
    """What a request that may cost somebody money wants once. Raises IdempotencyKeyMissing."""
    if key is None:
        raise IdempotencyKeyMissing()
    return Intent.of(key, request.scope["path"], await request.body(), request.method)


Idempotent = Depends(_idempotent, scope="function")
"""On every POST that creates, charges or sends; the route's class is ReplayableRoute. A route that
opens its Works itself takes the header as ``IdempotencyKey`` and claims its ``intent_of``."""
