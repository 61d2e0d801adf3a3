"""Makes tenants and members for tests, through the same Works the product uses."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import insert

from app.core.clock import now
from app.core.ids import new_id
from app.kernel.sessions.models import UserSession
from app.kernel.tenancy import TenantContext
from app.kernel.tenants.models import Tenant
from app.kernel.users.models import User
from app.kernel.work import Actor, Runtime, UnitOfWork, unit_of_work

PASSWORD = "correct horse battery"
SYSTEM = Actor("system", "tests")


@dataclass(frozen=True, slots=True)
class Member:
    id: UUID
    email: str
    role: str
    token: str
    session_id: UUID


@dataclass(frozen=True, slots=True)
class World:
    runtime: Runtime
    tenant: TenantContext
    owner: Member

    @asynccontextmanager
    async def work(self) -> AsyncIterator[UnitOfWork]:
        """A Work of this tenant: ``async with world.work() as work``."""
        tenant = await self.runtime.tenants.by_id(self.tenant.id)  # as a request finds it, by now
        async with unit_of_work(self.runtime, tenant, SYSTEM) as work:
            yield work

    async def member(self, role: str) -> Member:
        """Another logged-in member with this role."""
        return await _member(self.runtime, self.tenant, role)


async def make_world(
    runtime: Runtime,
    *,
    modules: tuple[str, ...] = ("commerce", "conversations"),
    subscription_status: str = "active",
    status: str = "active",
) -> World:
    """A new tenant with a logged-in owner."""
    slug = f"t-{secrets.token_hex(6)}"
    async with runtime.database.system_engine.begin() as connection:
        await connection.execute(
            insert(Tenant).values(
                id=new_id(),
                slug=slug,
                name=f"Tenant {slug}",
                modules=list(modules),
                subscription_status=subscription_status,
                status=status,
            )
        )
    tenant = await runtime.tenants.find("slug", slug)
    assert tenant is not None
    return World(runtime, tenant, await _member(runtime, tenant, "owner"))


async def _member(runtime: Runtime, tenant: TenantContext, role: str) -> Member:
    email = f"{role}-{secrets.token_hex(4)}@example.com"
    hashed = await runtime.passwords.hash(PASSWORD)
    async with unit_of_work(runtime, tenant, SYSTEM) as work:
        user = User(email=email, name=role.title(), password_hash=hashed, role=role)
        work.session.add(user)
        await work.session.flush()
        session = UserSession(user_id=user.id, expires_at=now() + timedelta(days=1))
        work.session.add(session)
        await work.session.flush()
        token, _ = runtime.tokens.issue(user.id, tenant.id, role, session.id)
        return Member(user.id, email, role, token, session.id)
