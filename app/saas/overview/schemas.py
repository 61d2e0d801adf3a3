"""Wire models of the platform's view over all its tenants."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.core.schema import Output
from app.kernel.impersonations.schemas import ImpersonationRead
from app.kernel.jobs.schemas import JobState


class TenantCounts(Output):
    total: int
    by_status: dict[str, int]
    by_subscription: dict[str, int]
    by_plan: dict[str, int] = Field(description="By code; `none`: no plan was assigned.")


class Sales(Output):
    currency: str
    today_orders: int
    today_cents: int
    week_orders: int = Field(description="Seven days with today.")
    week_cents: int
    month_orders: int = Field(description="Thirty days with today.")
    month_cents: int


class Health(Output):
    jobs_held: int = Field(description="Failed too often; each waits for a person.")
    jobs_due: int
    oldest_due_s: float = Field(description="Seconds the oldest due job has waited.")
    webhooks_failing: int
    webhooks_disabled: int = Field(description="Switched off for failing, or gone.")
    impersonations: int = Field(description="Going on now.")


class CloseToLimit(Output):
    tenant_id: UUID
    slug: str
    name: str
    limit: str
    allowed: int
    used: int


class Dashboard(Output):
    day_began_at: datetime = Field(description="In the timezone of the platform's own tenant.")
    tenants: TenantCounts
    sales: list[Sales] = Field(description="By currency, without rejected and cancelled orders.")
    health: Health
    close_to_limits: list[CloseToLimit] = Field(description="80 % used or more, fullest first.")


class JobsOfTenant(Output):
    tenant_id: UUID | None
    slug: str | None
    entrypoint: str
    state: JobState
    jobs: int
    oldest_due_at: datetime
    last_error: str | None


class JobHealth(Output):
    items: list[JobsOfTenant] = Field(description="Held ones first; at most 200 groups.")


class WebhookOfTenant(Output):
    tenant_id: UUID
    slug: str
    endpoint_id: UUID
    host: str | None
    is_enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    pending: int
    failed_today: int = Field(description="Deliveries given up in the last 24 hours.")


class WebhookHealth(Output):
    items: list[WebhookOfTenant] = Field(description="Longest failing first; at most 200.")


class ImpersonationOfTenant(ImpersonationRead):
    tenant_id: UUID
    slug: str
