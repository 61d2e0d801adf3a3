"""What the layers know of one request, kept in ``scope['meta']``; headers are read once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.types import Scope, Send

from app.core import problems
from app.core.problems import Problem
from app.kernel.identity import Identity
from app.kernel.tenancy import TenantContext

if TYPE_CHECKING:
    from app.core.tracing import Request

Headers = list[tuple[bytes, bytes]]


class Meta:
    """What the layers know of one request."""

    # Defaults of the class: most requests leave most of them alone, and each costs time to set.
    request_id_bytes = b""
    client_ip = ""
    status = 0
    route: str | None = None
    """The path template, where the answer did not come from a FastAPI route."""
    content = ""
    """``docs``, ``file`` or ``data`` where other security headers than the API's fit."""
    is_preflight = False
    tenant: TenantContext | None = None
    identity: Identity | None = None
    refused: Problem | None = None
    """What a step found wrong, before anything was asked of the request's route."""
    span: Request | None = None

    def __init__(self, scope: Scope) -> None:
        self.start = time.perf_counter()
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.out: Headers = []

    @property
    def request_id(self) -> str:
        return self.request_id_bytes.decode()

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None


async def answer(problem: Problem, scope: Scope, send: Send) -> None:
    """Send a problem from a layer, with the headers the layers have gathered."""
    meta: Meta = scope["meta"]
    body = problems.encode(problem, scope["path"], meta.request_id or None)
    headers: Headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((k.lower().encode(), v.encode()) for k, v in problem.headers.items()),
    ]
    status = problem.status.value
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
