"""The index of routes finds what asking each in turn would find, and asks few."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Match

from app.core.routing import IndexedRouter
from app.main import Largo


def _first(routes: list[BaseRoute], method: str, path: str) -> BaseRoute | None:
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "root_path": "",
        "headers": [], "query_string": b"",
    }  # fmt: skip
    return next((r for r in routes if r.matches(scope)[0] is Match.FULL), None)


@pytest.mark.parametrize("word", ["0192b2b4-0000-7000-8000-000000000000", "duplicates", "x%20y"])
def test_every_route_is_found_where_it_was(app: Largo, word: str) -> None:
    router = app.api.router
    assert isinstance(router, IndexedRouter)
    asked = 0
    document = app.api.openapi()
    for template, operations in document["paths"].items():
        path = re.sub(r"{\w+}", word, template)
        for method in {"get", "post", "put", "patch", "delete"} & operations.keys():
            near = router.near(path)
            assert _first(near, method.upper(), path) is _first(
                router.routes, method.upper(), path
            ), (method, path)
            assert len(near) <= 12, f"{path} asks {len(near)} routers"
            asked += 1
    assert asked > 300


async def test_what_no_route_matches_is_answered_as_ever(shopper: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nowhere/at/all", 404),
        ("GET", "/", 404),
        ("GET", "/api/v1/orders/0192b2b4-0000-7000-8000-000000000000/nothing", 404),
        ("DELETE", "/api/v1/auth/login", 405),
        ("GET", "/api/v1/plans/", 307),
    ):
        answer = await shopper.request(method, path, follow_redirects=False)
        assert answer.status_code == status, (method, path, answer.text)
