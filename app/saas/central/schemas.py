"""Wire models of the central console."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, StringConstraints

from app.core.schema import Input, Output
from app.saas.plans.schemas import Code

Status = Literal["active", "suspended"]
SubscriptionStatus = Literal["trialing", "active", "past_due", "canceled", "unpaid"]
Reason = Annotated[str, StringConstraints(min_length=3, max_length=500)]


class TenantRead(Output):
    id: UUID
    slug: str
    name: str
    status: Status
    subscription_status: SubscriptionStatus
    trial_ends_at: datetime | None
    plan_code: str | None
    modules: list[str]
    limits: dict[str, int]
    hosts: list[str]
    timezone: str
    currency: str
    locale: str
    is_super_admin: bool
    created_at: datetime


class PlanApply(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"plan_code": "pro"}]})

    plan_code: Code


class TenantSuspend(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Contestação de cobrança em análise"}]}
    )

    reason: Reason
