"""Wire models of beginning: sign up, register, the organization and its onboarding."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from app.core.schema import FreeJson, Input, Output
from app.kernel.users.schemas import Email, Name, Password
from app.saas.onboarding.rules import LONGEST_SLUG, RESERVED
from app.saas.plans.schemas import Code


def _free(slug: str) -> str:
    if slug in RESERVED:
        raise ValueError("this name is ours: choose another one")
    return slug


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not an IANA time zone, e.g. America/Sao_Paulo")
    return name


OrganizationName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=2, max_length=120)
]
Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", min_length=3, max_length=LONGEST_SLUG),
    AfterValidator(_free),
    Field(description="Lower case words with dashes: the name in X-Tenant and in addresses."),
]
Timezone = Annotated[str, Field(max_length=60), AfterValidator(_zone)]
Locale = Literal["pt-BR", "en"]
Answers = Annotated[
    dict[Annotated[str, Field(max_length=60)], FreeJson],
    Field(max_length=50, description="Whatever the first screens ask; kept and given back."),
]


class SignUp(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [
                {
                    "email": "dono@cafedapraca.example",
                    "name": "Joana Prado",
                    "password": "espresso-curto-2026",
                }
            ]
        },
    )

    email: Email
    name: Name
    password: Password


class Register(SignUp):
    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [
                {
                    "email": "dono@cafedapraca.example",
                    "name": "Joana Prado",
                    "password": "espresso-curto-2026",
                    "organization": "Café da Praça",
                    "plan": "pro",
                }
            ]
        },
    )

    organization: OrganizationName | None = Field(
        None, description="Left out: the person's own name."
    )
    slug: Slug | None = Field(None, description="Left out: made of the organization's name.")
    plan: Code = "starter"
    timezone: Timezone = "America/Sao_Paulo"
    locale: Locale = "pt-BR"


class OrganizationCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Empório da Praça", "plan": "free"}]}
    )

    name: OrganizationName
    slug: Slug | None = None
    plan: Code = "starter"


class OrganizationUpdate(Input):
    """Only what is sent changes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Café da Praça Ltda."}]})

    name: OrganizationName | None = None
    timezone: Timezone | None = None
    locale: Locale | None = None


class OnboardingUpdate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"answers": {"segment": "cafeteria", "team_size": 4}}]}
    )

    answers: Answers


class OrganizationRead(Output):
    id: UUID
    slug: str
    name: str
    plan_code: str | None
    subscription_status: str
    trial_ends_at: datetime | None = Field(
        description="From this instant on a trialing organization has no modules."
    )
    modules: list[str] = Field(
        validation_alias="effective_modules", description="Of the plan, with what was agreed."
    )
    limits: dict[str, int] = Field(
        validation_alias="effective_limits", description="Of the plan, with what was agreed."
    )
    timezone: str
    currency: str
    locale: str
    onboarding: dict[str, FreeJson]
    onboarding_completed_at: datetime | None
    created_at: datetime


class OnboardingStep(Output):
    code: Literal["stores", "team", "whatsapp"]
    is_done: bool


class OnboardingRead(Output):
    completed_at: datetime | None
    answers: dict[str, FreeJson]
    steps: list[OnboardingStep] = Field(description="Those that the plan's modules call for.")
