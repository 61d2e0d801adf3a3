"""Wire models of the catalogue: what the storefront reads and what its editors send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, StringConstraints, field_validator
from pydantic.config import JsonValue as ExampleValue

from app.commerce.stores.schemas import WeeklyIntervalRead
from app.core.hours_schema import Hours
from app.core.ids import new_id
from app.core.schema import FreeJson, Input, Output

MAX_CENTS = 100_000_000
"""One million: a price above it is a typing error."""

WORDS = (
    "Words in name or SKU, whatever their accents and case; where nothing holds them all, what "
    "resembles them is found."
)

Name = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", max_length=80)]
Cents = Annotated[int, Field(ge=0, le=MAX_CENTS)]
ChannelCents = Annotated[
    int | None,
    Field(ge=0, le=MAX_CENTS, description="The price where it is so handed over; null: the usual."),
]
Position = Annotated[int, Field(ge=0, le=1_000_000, description="Ascending; ties by name.")]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Description = Annotated[str, StringConstraints(max_length=4000)]
Tags = Annotated[list[Tag], Field(max_length=20, examples=[["vegetariano", "sem glúten"]])]
Images = Annotated[list[UUID], Field(max_length=12, description="Uploaded files, cover first.")]
Videos = Annotated[
    list[UUID], Field(max_length=3, description="Uploaded MP4 or WebM files, at most 20 MB each.")
]
Alts = Annotated[
    dict[UUID, Annotated[str, StringConstraints(max_length=200)]],
    Field(max_length=15, description="By file id, what an image or a video shows."),
]
Attributes = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=40)], FreeJson],
    Field(max_length=50, examples=[{"weight_g": 450}]),
]
CompareAt = Annotated[
    int, Field(gt=0, le=MAX_CENTS, description="The price before, crossed out; above the price.")
]
Windows = Annotated[
    Hours,
    Field(
        description="Weekly hours on the store's clock in which it is sold, e.g. a lunch menu; "
        "none: always.",
        examples=[[{"weekday": 0, "opens": "11:00", "closes": "15:00"}]],
    ),
]
Paused = Annotated[bool, Field(description="Not sold until this is false, or paused_until.")]
_Moment = Annotated[
    AwareDatetime,
    # What every clock and every reader of the menu can hold, in any timezone.
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC)),
]
PausedUntil = Annotated[
    _Moment | None, Field(description="When the pause ends by itself; sets is_paused.")
]
Choices = Annotated[int, Field(ge=0, le=100)]

_ID = "01931b2e-7c00-7000-8000-000000000001"


def _example(**fields: ExampleValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


# In the ...Update models a default factory stands for "not sent": the field stays optional in
# the document without becoming nullable, and ``model_fields_set`` tells what to change.


class CategoryCreate(Input):
    model_config = _example(name="Pizzas salgadas", position=1)

    name: Name
    slug: Slug | None = Field(None, description="Made from the name when left out.")
    position: Position = 0
    is_active: bool = True
    windows: Windows = Field(default_factory=list)


class CategoryUpdate(Input):
    model_config = _example(name="Pizzas doces", is_active=False)

    name: Name = Field(default_factory=str)
    slug: Slug = Field(default_factory=str)
    position: Position = Field(default_factory=int)
    is_active: bool = Field(default_factory=bool)
    windows: Windows = Field(default_factory=list)
    is_paused: Paused = Field(default_factory=bool)
    paused_until: PausedUntil = None


class CategoryOrder(Input):
    model_config = _example(ids=[_ID])

    ids: list[UUID] = Field(
        min_length=1, max_length=500, description="In menu order; those left out come after."
    )


class CategoryRead(Output):
    id: UUID
    name: str
    slug: str
    position: int
    is_active: bool
    windows: list[WeeklyIntervalRead]
    is_paused: bool
    paused_until: datetime | None


class ModifierWrite(Input):
    id: UUID | None = Field(None, description="Of an existing modifier; left out: a new one.")
    name: Name
    price_cents: Cents = 0
    max_quantity: int = Field(1, ge=1, le=99)
    is_active: bool = True


class ModifierGroupCreate(Input):
    model_config = _example(
        name="Borda recheada",
        min_choices=0,
        max_choices=1,
        modifiers=[{"name": "Catupiry", "price_cents": 900}],
    )

    name: Name
    min_choices: Choices = Field(0, description="Above zero: the customer must choose.")
    max_choices: Choices = 1
    free_quantity: Choices = Field(0, description="So many choices, cheapest first, are free.")
    is_active: bool = True
    modifiers: list[ModifierWrite] = Field(default_factory=list, max_length=200)


class ModifierGroupUpdate(Input):
    model_config = _example(max_choices=2)

    name: Name = Field(default_factory=str)
    min_choices: Choices = Field(default_factory=int)
    max_choices: Choices = Field(default_factory=int)
    free_quantity: Choices = Field(default_factory=int)
    is_active: bool = Field(default_factory=bool)


class ModifierList(Input):
    """All the modifiers of a group, in order: those with a known id are changed, those without
    are new, and those missing are removed."""

    model_config = _example(
        modifiers=[{"id": _ID, "name": "Catupiry", "price_cents": 900}, {"name": "Cheddar"}]
    )

    modifiers: list[ModifierWrite] = Field(max_length=200)

    @field_validator("modifiers")
    @classmethod
    def _once_each(cls, found: list[ModifierWrite]) -> list[ModifierWrite]:
        ids = [m.id for m in found if m.id is not None]
        if len(set(ids)) != len(ids):
            raise ValueError("a modifier is listed twice")
        return found


class ModifierRead(Output):
    id: UUID
    name: str
    price_cents: int
    max_quantity: int
    position: int
    is_active: bool


class ModifierGroupRead(Output):
    id: UUID
    name: str
    min_choices: int
    max_choices: int
    free_quantity: int
    is_active: bool
    modifiers: list[ModifierRead]


class ChannelPrices(Input):
    delivery_price_cents: ChannelCents = None
    pickup_price_cents: ChannelCents = None


class ChannelPricesRead(Output):
    delivery_price_cents: int | None
    pickup_price_cents: int | None


class VariantCreate(ChannelPrices):
    model_config = _example(name="Grande (8 fatias)", price_cents=5990, sku="PIZ-CAL-G")

    name: Name
    price_cents: Cents
    sku: Sku | None = None
    position: Position = 0
    is_active: bool = True


class VariantUpdate(ChannelPrices):
    model_config = _example(price_cents=6190)

    name: Name = Field(default_factory=str)
    price_cents: Cents = Field(default_factory=int)
    sku: Sku | None = None
    position: Position = Field(default_factory=int)
    is_active: bool = Field(default_factory=bool)


class VariantRead(ChannelPricesRead):
    id: UUID
    name: str
    sku: str | None
    price_cents: int
    position: int
    is_active: bool


class ProductCreate(ChannelPrices):
    model_config = _example(
        category_id=_ID,
        name="Pizza Calabresa",
        description="Calabresa fatiada, cebola e azeitona.",
        price_cents=4990,
        compare_at_cents=5990,
        dietary_tags=["sem lactose"],
    )

    category_id: UUID
    name: Name
    slug: Slug | None = Field(None, description="Made from the name when left out.")
    description: Description = ""
    sku: Sku | None = None
    price_cents: Cents
    compare_at_cents: CompareAt | None = None
    position: Position = 0
    is_active: bool = True
    for_delivery: bool = True
    for_pickup: bool = True
    dietary_tags: Tags = Field(default_factory=list)
    image_file_ids: Images = Field(default_factory=list)
    video_file_ids: Videos = Field(default_factory=list)
    media_alts: Alts = Field(default_factory=dict)
    attributes: Attributes = Field(default_factory=dict)
    external_ref: Sku | None = None
    windows: Windows = Field(default_factory=list)


class ProductUpdate(ChannelPrices):
    model_config = _example(price_cents=5290, is_active=True)

    category_id: UUID = Field(default_factory=new_id)
    name: Name = Field(default_factory=str)
    slug: Slug = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    sku: Sku | None = None
    price_cents: Cents = Field(default_factory=int)
    compare_at_cents: CompareAt | None = None
    position: Position = Field(default_factory=int)
    is_active: bool = Field(default_factory=bool)
    for_delivery: bool = Field(default_factory=bool)
    for_pickup: bool = Field(default_factory=bool)
    dietary_tags: Tags = Field(default_factory=list)
    image_file_ids: Images = Field(default_factory=list)
    video_file_ids: Videos = Field(default_factory=list)
    media_alts: Alts = Field(default_factory=dict)
    attributes: Attributes = Field(default_factory=dict)
    external_ref: Sku | None = None
    windows: Windows = Field(default_factory=list)
    is_paused: Paused = Field(default_factory=bool)
    paused_until: PausedUntil = None


class ProductGroups(Input):
    model_config = _example(group_ids=[_ID])

    group_ids: list[UUID] = Field(max_length=50, description="In the order they are offered.")

    @field_validator("group_ids")
    @classmethod
    def _once_each(cls, found: list[UUID]) -> list[UUID]:
        if len(set(found)) != len(found):
            raise ValueError("a group is listed twice")
        return found


class StoreOverride(ChannelPrices):
    model_config = _example(is_available=True, price_cents=5490, pickup_price_cents=4990)

    is_available: bool = Field(True, description="False: this store does not sell it.")
    price_cents: Cents | None = Field(None, description="This store's price; null: the usual.")


class StoreOverrideRead(ChannelPricesRead):
    store_id: UUID
    product_id: UUID
    is_available: bool
    price_cents: int | None


class Medium(Output):
    """An image or a video as a page shows it."""

    kind: Literal["image", "video"]
    url: str
    alt: str = Field(description="What it shows, for those who cannot see it.")
    thumbnails: dict[str, str] = Field(
        description="Of an image: WebP by longest side in pixels.",
        examples=[{"480": "/media/t/…/a-480.webp"}],
    )


class MediumRead(Medium):
    id: UUID


class ProductSummary(ChannelPricesRead):
    """A product as lists show it."""

    id: UUID
    category_id: UUID
    name: str
    slug: str
    description: str
    sku: str | None
    price_cents: int
    compare_at_cents: int | None
    position: int
    is_active: bool
    for_delivery: bool
    for_pickup: bool
    dietary_tags: list[str]
    image_file_ids: list[UUID]
    video_file_ids: list[UUID]
    media_alts: dict[UUID, str]
    attributes: dict[str, JsonValue]
    external_ref: str | None
    windows: list[WeeklyIntervalRead]
    is_paused: bool
    paused_until: datetime | None


class ProductRead(ProductSummary):
    """A product with everything an editor sees."""

    images: list[MediumRead] = Field(description="Of image_file_ids, those that exist.")
    videos: list[MediumRead] = Field(description="Of video_file_ids, those that exist.")
    variants: list[VariantRead]
    modifier_groups: list[ModifierGroupRead]
    stores: list[StoreOverrideRead] = Field(description="What single stores do differently.")
