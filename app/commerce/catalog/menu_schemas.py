"""Wire models of the storefront's menu."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from app.commerce.catalog.schemas import Medium
from app.core.schema import Output

PROMOTIONAL = Field(
    description="What one costs now, by the promotions that everybody gets without a code, a "
    "minimum or a limit; null: what it always does. Extras are part of what they take off."
)


class MenuStore(Output):
    id: UUID
    slug: str
    name: str
    phone: str | None
    timezone: str
    currency: str
    delivery_enabled: bool
    pickup_enabled: bool
    min_order_cents: int
    logo_url: str | None
    banner_url: str | None


class MenuCategory(Output):
    id: UUID
    slug: str
    name: str


class _Choice(Output):
    id: UUID
    name: str
    price_cents: int
    available: bool


class ChannelPrice(Output):
    price_cents: int
    promotional_cents: int | None = PROMOTIONAL


ChannelPrices = Annotated[
    dict[Literal["delivery", "pickup"], ChannelPrice],
    Field(
        description="Where it costs something else so handed over; of the others price_cents.",
        examples=[{"pickup": {"price_cents": 4490, "promotional_cents": None}}],
    ),
]


class MenuVariant(_Choice):
    promotional_cents: int | None = PROMOTIONAL
    channel_prices: ChannelPrices


class MenuModifier(_Choice):
    max_quantity: int


class MenuGroup(Output):
    id: UUID
    name: str
    min_choices: int
    max_choices: int
    free_quantity: int
    modifiers: list[MenuModifier]


class MenuProduct(Output):
    """A product as this store sells it; with variants it is bought only as one of them."""

    id: UUID
    category_id: UUID
    slug: str
    name: str
    description: str
    price_cents: int
    compare_at_cents: int | None
    promotional_cents: int | None = PROMOTIONAL
    channel_prices: ChannelPrices
    promotions: list[str] = Field(
        description="What the promotions that make it so are called.", examples=[["Terça em dobro"]]
    )
    images: list[str] = Field(description="URLs, cover first.", examples=[["/media/t/…/a.webp"]])
    media: list[Medium] = Field(description="Images in their order, then videos.")
    dietary_tags: list[str]
    for_delivery: bool
    for_pickup: bool
    available: bool = Field(description="On sale now, and in stock; of variants: one of them.")
    unavailable_reason: Literal["sold-out", "outside-hours", "paused"] | None
    next_available_at: datetime | None = Field(description="When it is sold again, if known.")
    variants: list[MenuVariant]
    modifier_groups: list[MenuGroup]


class MenuRead(Output):
    """The whole menu of a store, in the order it is shown."""

    store: MenuStore
    categories: list[MenuCategory] = Field(description="Only those with a product.")
    products: list[MenuProduct]
