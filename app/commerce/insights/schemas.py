"""Wire models of insights: one answer for the dashboard, and the reports that go out as CSV."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from app.commerce.insights.rules import Grain
from app.core.schema import Output


class Report(StrEnum):
    """What is exported as a CSV file."""

    SALES = "sales"
    PRODUCTS = "products"
    HOURS = "hours"
    CUSTOMERS = "customers"
    TIMES = "times"
    CANCELLATIONS = "cancellations"
    PROMOTIONS = "promotions"
    DISTANCES = "distances"
    PAYMENTS = "payments"
    FULFILMENTS = "fulfilments"
    SOURCES = "sources"


class Figures(Output):
    """The main figures of one period. Cancelled and rejected orders count only as such."""

    revenue_cents: int = 0
    orders: int = 0
    average_ticket_cents: int = Field(0, description="Revenue by orders, rounded half up.")
    freight_cents: int = Field(0, description="What customers paid for freight, part of revenue.")
    new_customers: int = Field(0, description="Orders that were their customer's first ever.")
    new_customers_cents: int = 0
    returning_orders: int = 0
    returning_cents: int = 0
    cancelled: int = 0
    rejected: int = 0
    lost_cents: int = Field(0, description="Totals of cancelled and rejected orders.")
    discounted_orders: int = 0
    discount_cents: int = Field(0, description="All discounts, those on freight included.")
    preparation_seconds: int | None = Field(None, description="Confirmed to ready, on average.")
    delivery_seconds: int | None = Field(None, description="On the road to delivered, on average.")
    door_seconds: int | None = Field(None, description="Placed to delivered, on average.")
    late: int = Field(0, description="Delivered after the promised time.")


class Bucket(Figures):
    since: date = Field(description="First day of the bucket; weeks begin on Monday.")


class Part(Output):
    """One line of a breakdown, beside the same of the period before."""

    key: str
    label: str
    orders: int
    quantity: int = Field(description="Pieces of products; cents of freight of distances; else 0.")
    amount_cents: int
    previous_orders: int = 0
    previous_amount_cents: int = 0


class Hour(Output):
    weekday: int = Field(description="1 is Monday, 7 is Sunday, as in ISO 8601.")
    hour: int
    orders: int
    amount_cents: int


class Insights(Output):
    since: date
    until: date = Field(description="The last day, included.")
    previous_since: date
    last_year_since: date
    grain: Grain
    store_id: UUID | None
    currency: str
    current: Figures
    previous: Figures
    last_year: Figures
    series: list[Bucket]
    previous_series: list[Bucket] = Field(description="Of the period before, in its own buckets.")
    products: list[Part]
    hours: list[Hour]
    payments: list[Part]
    fulfilments: list[Part]
    sources: list[Part]
    distances: list[Part]
    promotions: list[Part]
    cancellations: list[Part] = Field(description="By the reason that was given.")


class RebuildRead(Output):
    queued: bool = Field(description="Meanwhile every answer is counted from the orders.")
