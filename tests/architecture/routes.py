"""Every route of the application with its gate, walked the way FastAPI documents.

Since FastAPI 0.137 ``app.routes`` holds included routers unflattened; ``iter_route_contexts``
yields each route as it is served, with the dependencies of the routers around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.openapi import gates

FRAMEWORK = {"/openapi.json", "/docs", "/docs/assets"}
"""The documentation and its files, which know no tenant."""

METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    gates: tuple[dict[str, Any], ...]
    idempotent: bool
    replayable: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def gate(self) -> dict[str, Any]:
        return self.gates[0]

    @property
    def is_public(self) -> bool:
        return self.gate.get("kind") == "public"

    @property
    def grant(self) -> str | None:
        """``module.action`` that the gate asks for; None when it asks for no action."""
        return f"{self.gate['module']}.{self.gate['action']}" if "action" in self.gate else None

    @property
    def writes(self) -> bool:
        return self.method != "GET"


def _called(dependant: Dependant) -> Iterator[Any]:
    for below in dependant.dependencies:
        yield below.call
        yield from _called(below)


def _takes_key(dependant: Dependant) -> bool:
    """Whether the route itself takes the header, and so claims its intent by itself."""
    return any(parameter.alias == "Idempotency-Key" for parameter in dependant.header_params)


def endpoints(api: FastAPI) -> list[Endpoint]:
    """All of them, in the order they are matched."""
    found: list[Endpoint] = []
    for context in iter_route_contexts(api.routes):
        if not isinstance(context.original_route, APIRoute):
            assert context.path in FRAMEWORK, f"{context.path} is no API route and has no gate"
            continue
        called = list(_called(context.dependant))
        facts = (
            context.path_format or "",
            tuple(gates(context.dependant)),
            Idempotent.dependency in called or _takes_key(context.dependant),
            isinstance(context.original_route, ReplayableRoute) or _takes_key(context.dependant),
        )
        found += [Endpoint(method, *facts) for method in sorted(context.methods or ())]
    return found


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """``METHOD /path`` and operation of everything in an OpenAPI document."""
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def example_body(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    """The JSON that the document shows for an operation; None when it takes none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    if "oneOf" in content["schema"]:
        return content["schema"]["examples"][0]
    name = content["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"][0]
