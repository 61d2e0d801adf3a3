"""Wire models of plans."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from app.core.schema import Input, Output
from app.kernel.access import ALWAYS_ON, MODULES
from app.kernel.limits import LIMITS

Interval = Literal["month", "year"]
Code = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", max_length=40),
    Field(description="Lower case words with dashes; it cannot change later."),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Price = Annotated[int, Field(ge=0, le=10**10, description="Cents per interval.")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Position = Annotated[int, Field(ge=0, le=10_000, description="Order on the price list.")]


def _known_modules(modules: list[str]) -> list[str]:
    sold = set(MODULES) - ALWAYS_ON
    unknown = set(modules) - sold
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there are {sorted(sold)}")
    return sorted(set(modules))


def _known_limits(limits: dict[str, int]) -> dict[str, int]:
    unknown = set(limits) - set(LIMITS)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there are {sorted(LIMITS)}")
    return limits


Modules = Annotated[list[str], AfterValidator(_known_modules), Field(max_length=50)]
PriceId = Annotated[str, StringConstraints(pattern=r"^price_[A-Za-z0-9_]{1,100}$")]
Prices = Annotated[
    list[PriceId],
    Field(
        max_length=50,
        description="Stripe's prices of this plan: the first is sold, all are recognised.",
    ),
]
Limits = Annotated[
    dict[str, Annotated[int, Field(ge=0, le=10**12)]],
    AfterValidator(_known_limits),
    Field(description="By name, e.g. `users`, `stores`, `documents`; absent: without limit."),
]


class PlanCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "pizzaria-anual",
                    "name": "Pizzaria anual",
                    "price_cents": 149000,
                    "interval": "year",
                    "modules": ["commerce", "conversations"],
                    "limits": {"users": 8, "stores": 2},
                    "position": 25,
                }
            ]
        }
    )

    code: Code
    name: Name
    price_cents: Price
    currency: Currency = "BRL"
    interval: Interval = "month"
    modules: Modules = Field(default_factory=list)
    limits: Limits = Field(default_factory=dict)
    is_active: bool = True
    position: Position = 0
    stripe_price_ids: Prices = Field(default_factory=list)


class PlanUpdate(Input):
    """Only what is sent changes; ``modules`` and ``limits`` are replaced as a whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"price_cents": 15900, "limits": {"users": 12}}]}
    )

    name: Name | None = None
    price_cents: Price | None = None
    currency: Currency | None = None
    interval: Interval | None = None
    modules: Modules | None = None
    limits: Limits | None = None
    is_active: bool | None = None
    position: Position | None = None
    stripe_price_ids: Prices | None = None


class PlanOffer(Output):
    """A plan as the public sees it."""

    code: str
    name: str
    price_cents: int
    currency: str
    interval: Interval
    modules: list[str]
    limits: dict[str, int]
    position: int
    stripe_price_ids: list[str]


class PlanRead(PlanOffer):
    is_active: bool
    created_at: datetime


class OfferList(Output):
    items: list[PlanOffer]


class PlanList(Output):
    items: list[PlanRead]
