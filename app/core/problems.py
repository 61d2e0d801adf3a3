"""Every error a caller can see, as RFC 9457 problem details.

    Problem
      Invalid 422            the payload did not pass validation (errors: pointer, detail)
        MalformedRequest 400   the bytes are not what they claim to be
      Unauthenticated 401    no session, or one that ended
      Forbidden 403          a session that may not do this
      NotFound 404           no such resource, or somebody else's
      Conflict 409           the state does not allow it; the answer says which state
      Gone 410               it existed
      TooMany 429            slower; Retry-After says when
      Upstream 502/503       a vendor failed us

A slice declares its failures as subclasses in its own ``problems.py``; the code is the contract.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
CATALOGUE: dict[str, type[Problem]] = {}


class Problem(Exception):
    """An expected failure. Subclass it once per failure; raise it anywhere."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side. Try again; quote the request id."

    def __init__(self, detail: str | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.extra = extra
        self.headers: dict[str, str] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" in cls.__dict__ and CATALOGUE.setdefault(cls.code, cls) is not cls:
            raise TypeError(f"problem code {cls.code!r} is declared twice")

    def body(self, instance: str, request_id: str | None = None) -> dict[str, Any]:
        """The RFC 9457 object; ``instance`` is the path that failed."""
        facts = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status.value,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "request_id": request_id,
        }
        return {k: v for k, v in (facts | self.extra).items() if v is not None}


class Invalid(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid-request"
    title = "The request did not pass validation: correct the fields listed in errors."


class MalformedRequest(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "malformed-request"
    title = "The body is not valid JSON: send UTF-8 JSON with Content-Type application/json."


class Unauthenticated(Problem):
    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"
    title = "Log in first: this needs a valid session."


class Forbidden(Problem):
    status = HTTPStatus.FORBIDDEN
    code = "forbidden"
    title = "You may not do this."


class NotFound(Problem):
    status = HTTPStatus.NOT_FOUND
    code = "not-found"
    title = "There is no such resource."


class MethodNotAllowed(Problem):
    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method-not-allowed"
    title = "This path does not answer this method; see /docs."


class Conflict(Problem):
    status = HTTPStatus.CONFLICT
    code = "conflict"
    title = "The resource is not in a state that allows this."


class Busy(Conflict):
    code = "busy"
    title = "Somebody else is changing the same thing right now: try again in a moment."


class Gone(Problem):
    status = HTTPStatus.GONE
    code = "gone"
    title = "This existed and is gone."


class TooLarge(Problem):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too-large"
    title = "The body is larger than this route accepts."


class TooMany(Problem):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too-many-requests"
    title = "Too many requests: wait for the seconds in Retry-After."


class Upstream(Problem):
    status = HTTPStatus.BAD_GATEWAY
    code = "upstream-failed"
    title = "A provider did not answer as expected: try again later."


class Unavailable(Problem):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    title = "The service cannot answer now: try again in a few seconds."


def problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Document an endpoint's failures in OpenAPI: ``responses=problems(OrderNotFound)``."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        media = found.setdefault(
            kind.status.value,
            {
                "description": kind.status.phrase,
                "content": {MEDIA_TYPE: {"schema": SCHEMA_REF, "examples": {}}},
            },
        )["content"][MEDIA_TYPE]
        media["examples"][kind.code] = {
            "summary": kind.title,
            "value": kind().body("/api/v1/…"),
        }
    return found


SCHEMA_REF = {"$ref": "#/components/schemas/Problem"}
SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457 problem details; `code` is stable, extras depend on it.",
    "type": "object",
    "required": ["type", "title", "status", "code", "instance"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
    },
    "additionalProperties": True,
}


def encode(problem: Problem, path: str, request_id: str | None = None) -> bytes:
    """The bytes of a problem; used by the handlers and by the middleware alike."""
    return orjson.dumps(jsonable_encoder(problem.body(path, request_id)))


def render(request: Request, problem: Problem) -> Response:
    """The response for a problem raised while answering ``request``."""
    meta = request.scope.get("meta")
    body = encode(problem, request.scope["path"], meta.request_id if meta else None)
    return Response(body, problem.status.value, problem.headers, MEDIA_TYPE)


_BY_STATUS: dict[int, type[Problem]] = {404: NotFound, 405: MethodNotAllowed, 413: TooLarge}


def from_validation(error: RequestValidationError) -> Problem:
    """What of a request did not pass, as a problem."""
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        where = found[0].get("ctx", {}).get("error", "")
        return MalformedRequest(f"JSON: {where}" if where else None)
    return Invalid(
        errors=[{"pointer": "/" + "/".join(map(str, e["loc"])), "detail": e["msg"]} for e in found]
    )


def install(app: FastAPI) -> None:
    """Make every failure of ``app`` leave as problem+json."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, exc: Problem) -> Response:
        return render(request, exc)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, exc: RequestValidationError) -> Response:
        return render(request, from_validation(exc))

    @app.exception_handler(Exception)
    async def _crash(request: Request, exc: Exception) -> Response:
        return render(request, Problem())  # the traceback is logged by the layer outside

    @app.exception_handler(HTTPException)
    async def _http(request: Request, exc: HTTPException) -> Response:
        kind = _BY_STATUS.get(exc.status_code, MalformedRequest)
        problem = kind(exc.detail if kind is MalformedRequest else None)
        problem.headers = dict(exc.headers or {})
        return render(request, problem)
