"""Wire models of the central console's tenants."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from app.core.schema import Input, Output
from app.kernel.access import ALWAYS_ON, MODULES
from app.kernel.limits import LIMITS
from app.kernel.users.schemas import Email, Password
from app.kernel.users.schemas import Name as PersonName
from app.saas.plans.schemas import Code, Currency

Status = Literal["active", "suspended"]
SubscriptionStatus = Literal["trialing", "active", "past_due", "canceled", "unpaid"]
Reason = Annotated[str, StringConstraints(min_length=3, max_length=500)]
Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", min_length=2, max_length=63),
    Field(description="Lower case words with dashes, as in its address; it cannot change later."),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Locale = Literal["pt-BR", "en"]

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"({_LABEL}\.)+[a-z][a-z0-9-]{{0,61}}[a-z0-9]")


def _host(name: str) -> str:
    if len(name) > 253 or _HOST.fullmatch(name) is None:
        raise ValueError("a host name such as loja.example.com.br, in lower case, without port")
    return name


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not an IANA timezone, such as America/Sao_Paulo")
    return name


def _known(given: dict[str, object], there_are: set[str]) -> dict[str, object]:
    unknown = set(given) - there_are
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there are {sorted(there_are)}")
    return given


Host = Annotated[str, AfterValidator(_host)]
Hosts = Annotated[
    list[Host],
    AfterValidator(lambda hosts: sorted(set(hosts))),
    Field(max_length=20, description="The tenant's own domains."),
]
Timezone = Annotated[str, AfterValidator(_timezone)]
ModuleOverrides = Annotated[
    dict[str, bool],
    BeforeValidator(lambda v: _known(v, set(MODULES) - ALWAYS_ON) if isinstance(v, dict) else v),
    Field(description="Modules on or off whatever the plan says."),
]
LimitOverrides = Annotated[
    dict[str, Annotated[int, Field(ge=0, le=10**12)] | None],
    BeforeValidator(lambda v: _known(v, set(LIMITS)) if isinstance(v, dict) else v),
    Field(description="Limits in place of the plan's; null: without limit."),
]


class TenantRead(Output):
    id: UUID
    slug: str
    name: str
    status: Status
    subscription_status: SubscriptionStatus
    trial_ends_at: datetime | None
    plan_code: str | None
    modules: list[str] = Field(
        validation_alias="effective_modules", description="Of the plan, with the overrides."
    )
    limits: dict[str, int] = Field(
        validation_alias="effective_limits", description="Of the plan, with the overrides."
    )
    module_overrides: dict[str, bool]
    limit_overrides: dict[str, int | None]
    hosts: list[str]
    timezone: str
    currency: str
    locale: str
    first_access_test: bool
    is_super_admin: bool
    created_at: datetime


class FirstOwner(Input):
    model_config = ConfigDict(str_strip_whitespace=False)

    email: Email
    name: PersonName
    password: Password


class TenantCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "slug": "padaria-da-vila",
                    "name": "Padaria da Vila",
                    "plan_code": "starter",
                    "subscription_status": "trialing",
                    "owner": {
                        "email": "joana@padariadavila.example",
                        "name": "Joana Prado",
                        "password": "pao-quente-as-seis",
                    },
                    "hosts": ["pedidos.padariadavila.example"],
                    "limit_overrides": {"users": 6},
                }
            ]
        }
    )

    slug: Slug
    name: Name
    owner: FirstOwner
    plan_code: Code
    subscription_status: SubscriptionStatus = "active"
    hosts: Hosts = Field(default_factory=list)
    timezone: Timezone = "America/Sao_Paulo"
    currency: Currency = "BRL"
    locale: Locale = "pt-BR"
    module_overrides: ModuleOverrides = Field(default_factory=dict)
    limit_overrides: LimitOverrides = Field(default_factory=dict)


class TenantUpdate(Input):
    """Only what is sent changes; lists and overrides are replaced as a whole."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Padaria da Vila Nova",
                    "module_overrides": {"conversations": True},
                    "limit_overrides": {"users": 12, "stores": None},
                }
            ]
        }
    )

    name: Name | None = None
    subscription_status: SubscriptionStatus | None = None
    hosts: Hosts | None = None
    timezone: Timezone | None = None
    currency: Currency | None = None
    locale: Locale | None = None
    module_overrides: ModuleOverrides | None = None
    limit_overrides: LimitOverrides | None = None


class FirstAccessTest(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"is_on": True}]})

    is_on: bool


class PlanApply(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"plan_code": "pro"}]})

    plan_code: Code


class TenantSuspend(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Contestação de cobrança em análise"}]}
    )

    reason: Reason
