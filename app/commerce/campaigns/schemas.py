"""Wire models of what a campaign brought, and of carts that are only supposed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field

from app.commerce.checkout.schemas import BreakdownRead, CartIn
from app.commerce.promotions.schemas import CampaignCreate
from app.core.schema import Input, Output

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Figures(Output):
    """Orders that used the campaign, beside those of the same days that did not.

    Cancelled and rejected orders are in none of them.
    """

    redemptions: int
    revenue_cents: int = Field(description="Totals of the orders that used it.")
    items_discount_cents: int
    shipping_discount_cents: int
    new_customers: int = Field(description="Whose first order it was.")
    new_customers_cents: int
    returning_orders: int
    returning_cents: int
    orders_without: int
    revenue_without_cents: int


class DayRead(Figures):
    day: date = Field(description="In the timezone of each order's store.")


class StatisticsRead(Figures):
    campaign_id: UUID
    name: str
    currency: str
    since: date
    until: date
    discount_cents: int = Field(description="Off items and freight.")
    average_ticket_cents: int | None = Field(description="With it; null: nobody used it.")
    average_ticket_without_cents: int | None
    customers: int = Field(description="How many people used it.")
    lost_orders: int = Field(description="Used it, and were cancelled or rejected.")
    days: list[DayRead] = Field(description="Every day of the period.")


class SimulationIn(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cart": {
                        "store": "vila-madalena",
                        "fulfilment": "pickup",
                        "items": [
                            {"product_id": "01931b2e-7c00-7000-8000-000000000001", "quantity": 2}
                        ],
                    },
                    "at": "2026-12-01T19:30:00-03:00",
                    "draft": {"name": "Terça em dobro", "kind": "percent", "value": 2000},
                }
            ]
        }
    )

    cart: CartIn
    at: Annotated[
        AwareDatetime | None, Field(ge=_EARLIEST, le=_LATEST, description="Null: now.")
    ] = None
    draft: CampaignCreate | None = Field(
        None, description="A campaign that does not exist; its code counts as typed."
    )
    instead_of: UUID | None = Field(
        None, description="The campaign that the draft would replace: thought away."
    )


class VerdictRead(Output):
    campaign_id: UUID | None = Field(
        description="Null: the draft, or without a name a code that is nobody's."
    )
    name: str | None
    code: str | None
    applies: bool
    items_cents: int
    shipping_cents: int
    reason: str | None = Field(description="Why not; null: it applies.")
    text: str = Field(description="For people, in the language of Accept-Language.")
    missing_cents: int | None = None
    missing_units: int | None = None


class SimulationRead(BreakdownRead):
    at: datetime
    verdicts: list[VerdictRead] = Field(
        description="Of each campaign that is neither archived nor deleted; of those that are "
        "paused or lack their code, the newest hundred."
    )
