"""What the OpenAPI document says beyond what FastAPI derives: who may call, how a gate refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from app.core.problems import (
    SCHEMA,
    MalformedRequest,
    Problem,
    TooMany,
    Unauthenticated,
    problems,
)
from app.kernel.access import (
    ALWAYS_ON,
    ActionNotAllowed,
    ModuleNotEnabled,
    PersonOnly,
    SystemAdminOnly,
)
from app.kernel.identity import (
    COOKIE,
    SAFE,
    ApiKeyInvalid,
    CrossSiteRequest,
    SessionEnded,
    TenantMismatch,
)
from app.kernel.tenancy import OF_NO_TENANT, TenantRequired, TenantSuspended, UnknownTenant

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}
_PERSON: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_ANY: list[dict[str, list[str]]] = [*_PERSON, {"api_key": []}]


def document(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of ``api``."""
    found = get_openapi(
        title=api.title, version=api.version, summary=api.summary, routes=api.routes
    )
    components = found.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = SCHEMA
    components["securitySchemes"] = _SCHEMES
    for method, operation, gate in _gated(api, found):
        if gate.get("kind") != "public":
            operation["security"] = _ANY if "action" in gate else _PERSON
        _add_answers(operation["responses"], _refusals(method, gate))
    for path, item in found["paths"].items():
        # The layers and the parser answer before the endpoint does.
        before: list[type[Problem]] = [TooMany]
        if path not in OF_NO_TENANT:
            before += [UnknownTenant, TenantSuspended]
        for operation in item.values():
            _add_answers(operation["responses"], before)
            if "requestBody" in operation:
                _add_answers(operation["responses"], [MalformedRequest])
    _drop_patch_defaults(found)
    return found


def gates(dependant: Dependant) -> Iterator[dict[str, Any]]:
    """What the gates among a route's dependencies say of themselves."""
    for below in dependant.dependencies:
        gate: dict[str, Any] | None = getattr(below.call, "gate", None)
        if gate is not None:
            yield gate
        yield from gates(below)


def _gated(
    api: FastAPI, found: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for context in iter_route_contexts(api.routes):
        if not isinstance(context.original_route, APIRoute) or not context.include_in_schema:
            continue
        for gate in gates(context.dependant):
            for method in context.methods or ():
                yield method, found["paths"][context.path_format][method.lower()], gate


def _refusals(method: str, gate: dict[str, Any]) -> list[type[Problem]]:
    """How a gate may refuse; ``tests/architecture/test_matrix.py`` tries each."""
    module = gate.get("module")
    sold: list[type[Problem]] = [ModuleNotEnabled] if module and module not in ALWAYS_ON else []
    if gate.get("kind") == "public":
        return [TenantRequired, *sold] if module else []
    found: list[type[Problem]] = [Unauthenticated, SessionEnded, ApiKeyInvalid, TenantMismatch]
    found += sold
    if method not in SAFE:
        found.append(CrossSiteRequest)
    if "action" in gate:
        return [*found, ActionNotAllowed]
    return (
        [*found, PersonOnly, SystemAdminOnly] if gate["kind"] == "system" else [*found, PersonOnly]
    )


def _add_answers(answers: dict[str, Any], kinds: list[type[Problem]]) -> None:
    for status, answer in problems(*kinds).items():
        known = answers.setdefault(str(status), answer)
        if known is not answer:
            for media, content in answer["content"].items():
                known["content"][media]["examples"] |= content["examples"]


def _drop_patch_defaults(found: dict[str, Any]) -> None:
    """In a PATCH a field left out stays as it is: the default of its schema would be a lie."""
    schemas = found["components"]["schemas"]
    for item in found["paths"].values():
        body = item.get("patch", {}).get("requestBody", {}).get("content", {})
        for content in body.values():
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            for field in schemas.get(name, {}).get("properties", {}).values():
                field.pop("default", None)
