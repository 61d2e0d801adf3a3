"""Finding the route of a path by its first words, instead of asking every route in turn.

FastAPI asks its routers one after another, which with some four hundred routes took 70 to 600 us
of a request, as much as the rest of it (``scripts/benchmarks``, auth/me).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send


class IndexedRouter(APIRouter):
    """The router of the application. What no included router matches goes FastAPI's own way."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begin: dict[str, set[int]] = {}
        """The words before the first parameter of a path, and where in ``routes`` it is served."""
        self._near: dict[str, list[BaseRoute]] = {}

    def include_router(self, router: APIRouter, *, prefix: str = "", **kwargs: Any) -> None:
        """Include it as FastAPI does, and remember which words its paths begin with."""
        place = len(self.routes)
        super().include_router(router, prefix=prefix, **kwargs)
        for route in router.routes:
            head = _head(prefix + getattr(route, "path", ""))
            self._begin.setdefault(head, set()).add(place)
        self._near.clear()

    def near(self, path: str) -> list[BaseRoute]:
        """The routes, in their order, that the longest known beginning of the path leads to."""
        if not self._near:
            self._near = {head: self._leading_to(head) for head in self._begin}
        while path and path not in self._near:
            path = path.rpartition("/")[0]
        return self._near.get(path, [])

    def _leading_to(self, head: str) -> list[BaseRoute]:
        """What may match paths that begin so: whoever begins so, or with fewer of these words."""
        found = set(self._begin.get("", ()))
        while head:
            found |= self._begin.get(head, set())
            head = head.rpartition("/")[0]
        return [self.routes[place] for place in sorted(found)]

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self.near(scope["path"]):
                if route.matches(scope)[0] is Match.FULL:
                    scope.setdefault("router", self)
                    await route.handle(scope, receive, send)
                    return
        await super().app(scope, receive, send)


def _head(path: str) -> str:
    """``/api/v1/orders/{order_id}/events`` begins with ``/api/v1/orders``."""
    before, parameter, _ = path.partition("{")
    return before.rpartition("/")[0] if parameter else before
