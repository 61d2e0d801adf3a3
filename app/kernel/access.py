"""What exists to be allowed, who has it by role, and the gate that every route carries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import Depends, Request

from app.core.problems import Forbidden
from app.kernel.identity import SAFE, Identity, current_identity
from app.kernel.tenancy import TenantRequired

MODULES: dict[str, frozenset[str]] = {
    "commerce": frozenset(
        {
            "orders:read",
            "orders:update",
            "orders:cancel",
            "orders:write",
            "orders:override",
            "payments:write",
            "payments:refund",
            "payments:configure",
            "catalog:read",
            "catalog:write",
            "stores:read",
            "stores:write",
            "shipping:read",
            "shipping:write",
            "promotions:read",
            "promotions:write",
            "inventory:read",
            "inventory:write",
            "customers:read",
            "customers:write",
            "insights:read",
            "insights:write",
            "imports:read",
            "imports:write",
            "open-delivery:read",
            "open-delivery:write",
            "open-delivery:use",
        }
    ),
    "conversations": frozenset(
        {
            "messages:read",
            "messages:write",
            "messages:manage",
            "contacts:read",
            "contacts:write",
            "contacts:manage",
            "numbers:read",
            "numbers:write",
            "templates:read",
            "templates:write",
            "deliveries:read",
            "deliveries:write",
        }
    ),
    "platform": frozenset(
        {
            "users:read",
            "users:write",
            "groups:read",
            "groups:write",
            "api-keys:read",
            "api-keys:write",
            "audit:read",
            "files:read",
            "departments:read",
            "departments:write",
            "letters:read",
            "organization:write",
            "files:write",
            "connections:read",
            "connections:write",
            "jobs:read",
            "jobs:write",
            "webhooks:read",
            "webhooks:write",
            "schedules:read",
            "schedules:write",
            "ai:read",
            "ai:write",
            "billing:read",
            "billing:write",
            "notices:read",
        }
    ),
}
"""The one catalogue: plans switch modules on, groups grant ``module.action``."""

ALWAYS_ON = frozenset({"platform"})
"""Modules that no plan takes away: without them nobody could manage users or pay."""

NOT_FOR_KEYS = frozenset(
    {
        "platform.users:write",
        "platform.groups:write",
        "platform.api-keys:write",
        "commerce.payments:configure",
        "commerce.open-delivery:write",
    }
)
"""What no API key may do, nor whoever works in a member's name: hand out access. What it gives
would outlive the key's revocation and the impersonation's end.
"""

_ALL = frozenset(f"{m}.{a}" for m, actions in MODULES.items() for a in actions)
_READ = frozenset(g for g in _ALL if g.endswith(":read"))
_COMMERCE = frozenset(g for g in _ALL if g.startswith("commerce."))

_OWNERS = frozenset({"commerce.payments:configure"})
"""By role the owner's alone: where the customers' money goes."""

ROLE_GRANTS: dict[str, frozenset[str]] = {
    "owner": _ALL,
    "admin": _ALL - _OWNERS,
    "manager": (
        _COMMERCE
        | _READ
        | {
            "platform.files:write",
            "conversations.contacts:write",
            "conversations.contacts:manage",
            "conversations.messages:write",
            "conversations.messages:manage",
        }
    )
    - _OWNERS,
    "agent": frozenset(
        {
            "commerce.orders:read",
            "commerce.orders:update",
            "commerce.orders:write",
            "commerce.catalog:read",
            "commerce.stores:read",
            "commerce.customers:read",
            "conversations.messages:read",
            "conversations.messages:write",
            "conversations.contacts:read",
            "conversations.contacts:write",
            "conversations.templates:read",
        }
    ),
    "viewer": frozenset(g for g in _READ if g.startswith(("commerce.", "conversations."))),
}


class ModuleNotEnabled(Forbidden):
    code = "module-not-enabled"
    title = "The tenant's plan does not include this module."


class ActionNotAllowed(Forbidden):
    code = "action-not-allowed"
    title = "Neither your role nor your groups grant this action: ask an administrator."


class PersonOnly(Forbidden):
    code = "person-only"
    title = "This is for people: log in. An API key reaches only the actions it was given."


class NotWhileImpersonating(Forbidden):
    code = "not-while-impersonating"
    title = "In somebody else's name you may not do this: it is theirs, or hands out access."


class SystemAdminOnly(Forbidden):
    code = "system-admin-only"
    title = "Only the owner of the platform may do this."


@lru_cache(maxsize=4096)
def effective_grants(role: str, group_grants: frozenset[str]) -> frozenset[str]:
    """What a user may do: the role's grants and those of the groups, as ``module.action``."""
    return ROLE_GRANTS.get(role, frozenset()) | (group_grants & _ALL)


def grants_of(who: Identity) -> frozenset[str]:
    """What this member may do; through an API key, what both the key and its maker may."""
    own = effective_grants(who.role, who.group_grants)
    if who.impersonator is not None:
        return own - NOT_FOR_KEYS
    return own if who.key is None else (own & who.key.scopes) - NOT_FOR_KEYS


async def current_person(request: Request) -> Identity:
    """The member who asks, in person. Raises PersonOnly, and as ``current_identity`` does."""
    identity = await current_identity(request)
    if identity.key is not None:
        raise PersonOnly()
    return identity


def require_module(module: str, action: str) -> Any:
    """Gate: a member or an API key of the tenant whose plan has ``module``, granted ``action``."""
    if action not in MODULES[module]:
        raise LookupError(f"{module}.{action} is not in access.MODULES")
    grant = f"{module}.{action}"

    async def check(request: Request) -> None:
        identity: Identity = await current_identity(request)
        if module not in ALWAYS_ON and module not in request.scope["meta"].tenant.modules:
            raise ModuleNotEnabled(module=module)
        if grant not in grants_of(identity):
            if identity.impersonator is not None and grant in NOT_FOR_KEYS:
                raise NotWhileImpersonating()
            raise ActionNotAllowed(module=module, action=action)

    return _gate(check, module=module, action=action)


def held_grants(request: Request) -> frozenset[str]:
    """What whoever asks may do, behind a gate that has let them in."""
    identity: Identity | None = request.scope["meta"].identity
    return grants_of(identity) if identity is not None else frozenset()


def require_also(request: Request, module: str, action: str) -> None:
    """What a part of a body asks for beyond the route's own gate. Raises ActionNotAllowed."""
    if f"{module}.{action}" not in held_grants(request):
        raise ActionNotAllowed(module=module, action=action)


def tenant_member(*, also_impersonated: bool = False) -> Any:
    """Gate: any logged-in member of the tenant, in person.

    Whoever works in a member's name may look, and changes what is that member's own (password,
    second factor, profile) only with ``also_impersonated``.
    """

    async def check(request: Request) -> None:
        identity = await current_person(request)
        looks = request.method in SAFE or also_impersonated
        if identity.impersonator is not None and not looks:
            raise NotWhileImpersonating()

    return _gate(check, kind="member")


def system_admin() -> Any:
    """Gate: the owner of the super-admin tenant."""

    async def check(request: Request) -> None:
        identity = await current_person(request)
        if identity.role != "owner" or not request.scope["meta"].tenant.is_super_admin:
            raise SystemAdminOnly()

    return _gate(check, kind="system")


def public(module: str | None = None) -> Any:
    """Gate: everybody; with ``module``, of a tenant whose plan has it."""

    async def check(request: Request) -> None:
        if module is None:
            return
        tenant = request.scope["meta"].tenant
        if tenant is None:
            raise TenantRequired()
        if module not in tenant.modules:
            raise ModuleNotEnabled(module=module)

    return _gate(check, kind="public", module=module)


def _gate(check: Any, **facts: Any) -> Any:
    check.gate = facts
    return Depends(check)
