"""How an organization begins: tenant, plan, owner and session, whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.contracts.saas import InUse
from app.core.clock import now
from app.core.ids import new_id
from app.core.ratelimit import Limit
from app.kernel.connections.service import ConnectionService
from app.kernel.identity import Identity
from app.kernel.mail.service import MailService
from app.kernel.sessions.service import LoggedIn, open_session
from app.kernel.tenancy import TOPIC, TenantContext
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import OrganizationSlugTaken
from app.kernel.tenants.service import TenantRegister
from app.kernel.users.service import UserService
from app.kernel.work import (
    Actor,
    Runtime,
    UnitOfWork,
    WorkFactory,
    bind_to_tenant,
    platform_work,
)
from app.saas.onboarding.problems import TenantHasUsers, TooManySignups
from app.saas.onboarding.rules import slug_of, trial_end
from app.saas.onboarding.schemas import (
    OnboardingRead,
    OnboardingStep,
    OnboardingUpdate,
    OrganizationCreate,
    OrganizationUpdate,
    Register,
    SignUp,
)
from app.saas.plans.service import PlanService

_SIGNUPS = Limit("signup", 20, 3600)
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Beginning:
    """Everything a new organization is made of."""

    name: str
    slug: str | None
    plan: str
    owner_name: str
    email: str
    hashed: str
    timezone: str
    locale: str


async def register(runtime: Runtime, actor: Actor, body: Register) -> LoggedIn:
    """A new organization with its owner, logged in, on a plan; 14 days of trial if that costs.

    Raises OrganizationSlugTaken, PlanNotFound, PlanNotOffered, TooManySignups.
    """
    await _throttle(runtime, str(actor.ip))
    beginning = Beginning(
        name=body.organization or body.name,
        slug=body.slug,
        plan=body.plan,
        owner_name=body.name,
        email=body.email,
        hashed=await runtime.passwords.hash(body.password),
        timezone=body.timezone,
        locale=body.locale,
    )
    return await begin(runtime, actor, beginning)


async def begin(runtime: Runtime, actor: Actor, it: Beginning) -> LoggedIn:
    """Make the organization under the slug asked for, else under the first free one of its name.

    Raises OrganizationSlugTaken, PlanNotFound, PlanNotOffered.
    """
    if it.slug is not None:
        return await _begin_as(runtime, actor, it, it.slug)
    slug = slug_of(it.name)
    for _ in range(_TRIES):
        try:
            return await _begin_as(runtime, actor, it, slug)
        except OrganizationSlugTaken:
            slug = f"{slug_of(it.name)}-{secrets.token_hex(2)}"
    raise OrganizationSlugTaken()


async def _begin_as(runtime: Runtime, actor: Actor, it: Beginning, slug: str) -> LoggedIn:
    context = TenantContext(
        id=new_id(),
        slug=slug,
        name=it.name,
        status="active",
        subscription_status="trialing",
        modules=frozenset(),
        limits={},
        timezone=it.timezone,
        currency="BRL",
        locale=it.locale,
    )
    async with platform_work(runtime, context, actor) as work:
        plan = await PlanService(work).assignable(it.plan)
        ends = trial_end(plan.price_cents, now())
        await TenantRegister(work).add(
            Tenant(
                id=context.id,
                slug=slug,
                name=it.name,
                subscription_status="trialing" if ends else "active",
                trial_ends_at=ends,
                plan_code=plan.code,
                modules=plan.modules,
                limits=plan.limits,
                timezone=it.timezone,
                locale=it.locale,
            )
        )
        await bind_to_tenant(work)
        work.record("tenant.registered", "tenant", context.id, slug=slug, plan_code=plan.code)
        user = await UserService(work).admit(
            email=it.email, name=it.owner_name, role="owner", hashed=it.hashed
        )
        days = (ends - now()).days + 1 if ends else 0
        await _welcome(work, it, days)
        done = await open_session(work, user)
        work.ring(TOPIC)
    return done


async def _welcome(work: UnitOfWork, it: Beginning, trial_days: int) -> None:
    trial = {
        "pt-BR": f"O período de teste dura {trial_days} dias.",
        "en": f"The trial lasts {trial_days} days.",
    }
    await MailService(work).send(
        "welcome",
        to=it.email,
        reference="welcome",
        facts={
            "name": it.owner_name,
            "organization": it.name,
            "slug": work.tenant.slug,
            "trial": trial[it.locale] if trial_days else "",
        },
        page="entrar",
    )


async def sign_up(works: WorkFactory, body: SignUp) -> LoggedIn:
    """The first user of a tenant that has none: its owner, logged in.

    Two Works, because hashing must not hold a connection. Raises TenantHasUsers, TooManySignups.
    """
    async with works() as work:
        await _throttle(work.runtime, str(work.actor.ip))
        if not await UserService(work).nobody_yet():
            raise TenantHasUsers()
    hashed = await work.runtime.passwords.hash(body.password)
    async with works() as work:
        users = UserService(work)
        await users.lock_staff()
        if not await users.nobody_yet():
            raise TenantHasUsers()
        user = await users.admit(email=body.email, name=body.name, role="owner", hashed=hashed)
        return await open_session(work, user)


async def _throttle(runtime: Runtime, key: str) -> None:
    decision = await runtime.limiter.take(_SIGNUPS, key)
    if not decision.allowed:
        problem = TooManySignups()
        problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
        raise problem


class OrganizationService:
    """The tenant as its own members see it; its row is a system table's, hence the inner Work."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work

    async def create(self, who: Identity, body: OrganizationCreate) -> Tenant:
        """Another organization of the same person: same e-mail, name and password, its owner.

        Raises OrganizationSlugTaken, PlanNotFound, PlanNotOffered, TooManySignups.
        """
        runtime, tenant = self.work.runtime, self.work.tenant
        await _throttle(runtime, str(who.user_id))
        user = await UserService(self.work).get(who.user_id)
        beginning = Beginning(
            name=body.name,
            slug=body.slug,
            plan=body.plan,
            owner_name=user.name,
            email=user.email,
            hashed=user.password_hash,
            timezone=tenant.timezone,
            locale="en" if tenant.locale.lower().startswith("en") else "pt-BR",
        )
        done = await begin(runtime, self.work.actor, beginning)
        self.work.record("organization.created", "tenant", done.tenant.id, slug=done.tenant.slug)
        async with platform_work(runtime, done.tenant, self.work.actor) as work:
            return await TenantRegister(work).get(done.tenant.id)

    async def mine(self) -> Tenant:
        async with self._row() as (_, tenant):
            return tenant

    async def update(self, body: OrganizationUpdate) -> Tenant:
        """Change what is sent, in every process at once."""
        wanted = {k: v for k in body.model_fields_set if (v := getattr(body, k)) is not None}
        async with self._row(lock=True) as (register, tenant):
            before = await register.change(tenant, **wanted)
            if before:
                after = {name: wanted[name] for name in before}
                register.work.record(
                    "organization.updated", "tenant", tenant.id, before=before, after=after
                )
            return tenant

    async def complete(self) -> Tenant:
        """Mark the onboarding as done; the first time stays."""
        async with self._row(lock=True) as (register, tenant):
            if tenant.onboarding_completed_at is None:
                await register.change(tenant, onboarding_completed_at=now())
                register.work.record("organization.onboarded", "tenant", tenant.id)
            return tenant

    async def answer(self, body: OnboardingUpdate) -> OnboardingRead:
        """Keep these answers beside those given before."""
        async with self._row(lock=True) as (register, tenant):
            await register.change(tenant, onboarding={**tenant.onboarding, **body.answers})
        return await self._shown(tenant)

    async def onboarding(self) -> OnboardingRead:
        return await self._shown(await self.mine())

    async def _shown(self, tenant: Tenant) -> OnboardingRead:
        """What is done is read off the tenant itself, so that nobody has to tick it."""
        steps = [OnboardingStep(code="team", is_done=await self._in_use("users") > 1)]
        if "commerce" in self.work.tenant.modules:
            steps.append(OnboardingStep(code="stores", is_done=await self._in_use("stores") > 0))
        if "conversations" in self.work.tenant.modules:
            account = await ConnectionService(self.work).credentials("whatsapp")
            steps.append(OnboardingStep(code="whatsapp", is_done=account is not None))
        return OnboardingRead(
            # While the platform tries the first access, it is everybody's first day again.
            completed_at=None if tenant.first_access_test else tenant.onboarding_completed_at,
            answers=tenant.onboarding,
            steps=steps,
        )

    async def _in_use(self, name: str) -> int:
        return await self.work.port(InUse, name).in_use()

    @asynccontextmanager
    async def _row(self, *, lock: bool = False) -> AsyncIterator[tuple[TenantRegister, Tenant]]:
        runtime, tenant = self.work.runtime, self.work.tenant
        async with platform_work(runtime, tenant, self.work.actor) as work:
            register = TenantRegister(work)
            yield register, await register.get(tenant.id, lock=lock)
