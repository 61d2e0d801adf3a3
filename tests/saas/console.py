"""What tests of the central console share: bodies, rows, trails."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select, text

from app.kernel.audit.models import AuditEntry
from app.kernel.work import Runtime
from app.main import Largo
from tests.factories.tenants import World

CENTRAL = "/api/v1/admin/central"


def tenant_body(**changes: Any) -> dict[str, Any]:
    """A tenant that may be made, under a slug of its own."""
    mark = secrets.token_hex(5)
    return {
        "slug": f"nova-{mark}",
        "name": "Padaria da Vila",
        "plan_code": "starter",
        "owner": {
            "email": f"joana-{mark}@padaria.example",
            "name": "Joana Prado",
            "password": "pao-quente-as-seis",
        },
    } | changes


def client_with(app: Largo, token: str) -> httpx.AsyncClient:
    """Whoever holds this token; use it as a context manager."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://largo.test",
        headers={"Authorization": f"Bearer {token}"},
    )


async def system_rows(runtime: Runtime, statement: str, **values: Any) -> list[dict[str, Any]]:
    """What the owner of the tables reads."""
    async with runtime.database.system_session() as session:
        return [dict(row) for row in (await session.execute(text(statement), values)).mappings()]


async def trail(world: World, about: UUID | None = None) -> list[AuditEntry]:
    """A tenant's own trail, oldest first; only what is ``about`` this resource."""
    async with world.work() as work:
        found = select(AuditEntry).order_by(AuditEntry.created_at, AuditEntry.id)
        if about is not None:
            found = found.where(AuditEntry.resource_id == about)
        return list((await work.session.scalars(found)).all())
