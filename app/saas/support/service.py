"""What the platform does inside a tenant: its people, its messaging, working in a member's name.

Each use case is one Work of that tenant, under its row level security like any of its own, whose
trail tells it as the platform's doing; the console's trail tells it too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal
from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.kernel.connections.oauth import disconnect_provider
from app.kernel.connections.schemas import ConnectionPut, IntegrationRead
from app.kernel.connections.service import ConnectionService
from app.kernel.identity import Identity
from app.kernel.impersonations.service import ImpersonationService, Started
from app.kernel.jobs.admin import JobPage, JobService
from app.kernel.jobs.schemas import JobState
from app.kernel.sessions.models import UserSession
from app.kernel.sessions.service import SessionService
from app.kernel.totp.service import TotpService
from app.kernel.usage.schemas import UsageRead
from app.kernel.usage.service import UsageService
from app.kernel.users.models import User
from app.kernel.users.schemas import UserCreate, UserUpdate
from app.kernel.users.service import UserService
from app.kernel.work import Caller, UnitOfWork, Work, unit_of_work
from app.saas.central.service import platform_actor, tenant_of
from app.saas.support.problems import PlatformNotImpersonable, TenantNotActive
from app.saas.support.schemas import ImpersonationStart

Channel = Literal["whatsapp", "telegram"]
CHANNELS: tuple[Channel, ...] = ("whatsapp", "telegram")


class SupportService:
    """Every method raises TenantNotFound, beside what it names itself."""

    def __init__(self, work: Work) -> None:
        self.work = work

    async def users(
        self, tenant_id: UUID, page: PageRequest, *, role: str | None, is_active: bool | None
    ) -> Page[User]:
        async with self._inside(tenant_id) as work:
            return await UserService(work).listed(page, role=role, is_active=is_active)

    async def create_user(self, who: Identity, tenant_id: UUID, body: UserCreate) -> User:
        """Raises LimitReached, EmailTaken."""
        async with self._inside(tenant_id) as work:
            user = await UserService(work).create(who, body)
        self._tell("tenant.user_created", tenant_id, user_id=user.id, role=user.role)
        return user

    async def update_user(
        self, who: Identity, tenant_id: UUID, user_id: UUID, body: UserUpdate
    ) -> User:
        """Raises UserNotFound, LastOwner, LimitReached."""
        async with self._inside(tenant_id) as work:
            user = await UserService(work).update(who, user_id, body)
        changed = sorted(body.model_fields_set)
        self._tell("tenant.user_updated", tenant_id, user_id=user_id, changed=changed)
        return user

    async def deactivate_user(self, who: Identity, tenant_id: UUID, user_id: UUID) -> None:
        """Raises UserNotFound, LastOwner."""
        async with self._inside(tenant_id) as work:
            await UserService(work).deactivate(who, user_id)
        self._tell("tenant.user_deactivated", tenant_id, user_id=user_id)

    async def set_password(
        self, who: Identity, tenant_id: UUID, user_id: UUID, password: str
    ) -> None:
        """Their sessions end. Raises UserNotFound."""
        async with self._inside(tenant_id) as work:
            await UserService(work).set_password(who, user_id, password)
        self._tell("tenant.user_password_set", tenant_id, user_id=user_id)

    async def take_off_totp(self, who: Identity, tenant_id: UUID, user_id: UUID) -> None:
        """Raises UserNotFound, TotpNotOn."""
        async with self._inside(tenant_id) as work:
            await UserService(work).manageable(who, user_id)
            await TotpService(work).take_off(user_id, by="platform")
        self._tell("tenant.user_totp_disabled", tenant_id, user_id=user_id)

    async def sessions(self, tenant_id: UUID, user_id: UUID) -> Sequence[UserSession]:
        """Raises UserNotFound."""
        async with self._inside(tenant_id) as work:
            return await SessionService(work).of_user(user_id)

    async def end_sessions(self, who: Identity, tenant_id: UUID, user_id: UUID) -> None:
        """Raises UserNotFound."""
        async with self._inside(tenant_id) as work:
            await SessionService(work).end_of_user(who, user_id, None)
        self._tell("tenant.user_sessions_ended", tenant_id, user_id=user_id)

    async def impersonate(
        self, who: Identity, tenant_id: UUID, body: ImpersonationStart
    ) -> Started:
        """Raises PlatformNotImpersonable, TenantNotActive, UserNotFound, UserInactive."""
        tenant = await tenant_of(self.work.runtime, tenant_id)
        if tenant.is_super_admin:
            raise PlatformNotImpersonable()
        if tenant.status != "active":
            raise TenantNotActive()
        async with self._inside(tenant_id) as work:
            started = await ImpersonationService(work).start(
                who, body.user_id, body.reason, body.minutes
            )
        self._tell(
            "tenant.impersonation_started",
            tenant_id,
            impersonation_id=started.impersonation.id,
            user_id=body.user_id,
            reason=body.reason,
            minutes=body.minutes,
        )
        return started

    async def end_impersonation(self, tenant_id: UUID, impersonation_id: UUID) -> None:
        """Whoever of the platform began it. Raises ImpersonationNotFound."""
        async with self._inside(tenant_id) as work:
            await ImpersonationService(work).end(impersonation_id, "platform")
        self._tell("tenant.impersonation_ended", tenant_id, impersonation_id=impersonation_id)

    async def jobs(
        self, tenant_id: UUID, state: JobState | None, cursor: int | None, limit: int
    ) -> JobPage:
        """The tenant's jobs that are not done, newest first."""
        async with self._inside(tenant_id) as work:
            return await JobService(work).listed(state, cursor, limit)

    async def retry_job(self, tenant_id: UUID, job_id: int) -> None:
        """Put a held job back in line. Raises JobNotFound, JobNotHeld."""
        async with self._inside(tenant_id) as work:
            await JobService(work).retry(job_id)
        self._tell("tenant.job_retried", tenant_id, job_id=job_id)

    async def messaging(self, tenant_id: UUID) -> list[IntegrationRead]:
        """The tenant's accounts at the messaging vendors; never a secret."""
        async with self._inside(tenant_id) as work:
            found = await ConnectionService(work).integrations()
        return [each for each in found if each.provider in CHANNELS]

    async def put_messaging(
        self, tenant_id: UUID, channel: Channel, body: ConnectionPut
    ) -> IntegrationRead:
        """Raises Invalid, TooManyConnections."""
        async with self._inside(tenant_id) as work:
            found = await ConnectionService(work).put(channel, body)
        secret_changed = body.secret is not None
        self._tell(
            "tenant.messaging_put", tenant_id, channel=channel, secret_changed=secret_changed
        )
        return found

    async def drop_messaging(self, tenant_id: UUID, channel: Channel) -> None:
        """Forget the account and its secret. Raises ConnectionNotFound."""
        runtime = self.work.runtime
        tenant = await tenant_of(runtime, tenant_id)
        await disconnect_provider(Caller(runtime, tenant, platform_actor(self.work)), channel)
        self._tell("tenant.messaging_dropped", tenant_id, channel=channel)

    async def usage(self, tenant_id: UUID) -> UsageRead:
        """What the tenant uses of each of its limits."""
        async with self._inside(tenant_id) as work:
            return await UsageService(work).shown()

    @asynccontextmanager
    async def _inside(self, tenant_id: UUID) -> AsyncIterator[UnitOfWork]:
        runtime = self.work.runtime
        tenant = await tenant_of(runtime, tenant_id)
        async with unit_of_work(runtime, tenant, platform_actor(self.work)) as work:
            yield work

    def _tell(self, action: str, tenant_id: UUID, **facts: object) -> None:
        self.work.record(action, "tenant", tenant_id, **facts)
