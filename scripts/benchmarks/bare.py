"""Yardsticks of the framework: a bare FastAPI JSON route, a bare Starlette route, and that route
inside our layers.
"""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.core import logging as logs
from app.core.settings import settings
from app.kernel.layers import Layers
from app.worker import build_runtime


class Me(BaseModel):
    id: str = "0199a1b2-0000-7000-8000-000000000001"
    email: str = "ana@example.com"
    name: str = "Ana"
    role: str = "owner"
    modules: list[str] = ["commerce"]


def fastapi_route() -> FastAPI:
    """One route that answers a small validated model, and nothing else."""
    api = FastAPI(openapi_url=None)

    @api.get("/me")
    async def me() -> Me:
        return Me()

    return api


async def _hello(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "name": "Ana"})


def starlette_route() -> Starlette:
    """One route that answers a small JSON."""
    return Starlette(routes=[Route("/me", _hello)])


def layered_route() -> Layers:
    """The same route behind hosts, origins, strict headers, log, limits and tenancy."""
    config = settings()
    logs.configure(config.log_level)
    return Layers(starlette_route(), config, {}, {}, build_runtime(config))
