"""What is sold: categories, products, their variants, and the groups of modifiers they offer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.model import TenantModel, unique_within_tenant, within_tenant

# Spelled as Postgres prints it back, so that ``alembic check`` finds no difference.
SEARCH_TEXT = (
    "lower(regexp_replace(NORMALIZE(((name || ' '::text) || COALESCE(sku, ''::text)), NFKD), "
    "'[\\u0300-\\u036f]'::text, ''::text, 'g'::text))"
)


class Category(TenantModel):
    __tablename__ = "categories"
    __table_args__ = (
        Index(
            "categories_tenant_id_slug_key",
            "tenant_id",
            "slug",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    name: Mapped[str]
    slug: Mapped[str]
    position: Mapped[int] = mapped_column(server_default="0")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    windows: Mapped[list[dict[str, Any]]] = mapped_column(JSONB(), server_default=text("'[]'"))
    """Weekly hours of the store's clock in which its products are sold; none: always."""
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_until: Mapped[datetime | None]
    """When a pause ends by itself."""
    deleted_at: Mapped[datetime | None]


class ModifierGroup(TenantModel):
    __tablename__ = "modifier_groups"
    __table_args__ = (
        CheckConstraint("min_choices >= 0 AND max_choices >= min_choices", name="choices"),
        CheckConstraint("free_quantity >= 0", name="free_quantity"),
    )

    name: Mapped[str]
    min_choices: Mapped[int] = mapped_column(server_default="0")
    max_choices: Mapped[int] = mapped_column(server_default="1")
    free_quantity: Mapped[int] = mapped_column(server_default="0")
    """So many choices, the cheapest first, cost nothing."""
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    deleted_at: Mapped[datetime | None]
    modifiers: Mapped[list[Modifier]] = relationship(
        lazy="raise",
        order_by="(Modifier.position, Modifier.id)",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


class Modifier(TenantModel):
    __tablename__ = "modifiers"
    __table_args__ = (
        within_tenant("group_id", "modifier_groups", ondelete="CASCADE"),
        CheckConstraint("price_cents >= 0 AND max_quantity >= 1", name="amounts"),
        Index("modifiers_tenant_id_group_id_idx", "tenant_id", "group_id"),
    )

    group_id: Mapped[UUID]
    name: Mapped[str]
    price_cents: Mapped[int] = mapped_column(server_default="0")
    max_quantity: Mapped[int] = mapped_column(server_default="1")
    position: Mapped[int] = mapped_column(server_default="0")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class ProductModifierGroup(TenantModel):
    __tablename__ = "product_modifier_groups"
    __table_args__ = (
        unique_within_tenant("product_id", "group_id"),
        within_tenant("product_id", "products", ondelete="CASCADE"),
        within_tenant("group_id", "modifier_groups", ondelete="CASCADE"),
    )

    product_id: Mapped[UUID]
    group_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(server_default="0")
    group: Mapped[ModifierGroup] = relationship(lazy="raise", viewonly=True)


class PricedByChannel:
    """Another price where it is delivered or picked up; None: the usual one."""

    delivery_price_cents: Mapped[int | None]
    pickup_price_cents: Mapped[int | None]


_CHANNEL_PRICES = "delivery_price_cents >= 0 AND pickup_price_cents >= 0"


class Product(PricedByChannel, TenantModel):
    __tablename__ = "products"
    __table_args__ = (
        within_tenant("category_id", "categories"),
        Index(
            "products_tenant_id_slug_key",
            "tenant_id",
            "slug",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "products_tenant_id_external_ref_key",
            "tenant_id",
            "external_ref",
            unique=True,
            postgresql_where=text("external_ref IS NOT NULL"),
        ),
        Index(
            "products_tenant_id_sku_key",
            "tenant_id",
            "sku",
            unique=True,
            postgresql_where=text("sku IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index("products_tenant_id_category_id_idx", "tenant_id", "category_id", "position"),
        # Used by find_products() alone: its operators may use no index under row level security.
        # Without a pending list, which after an import every search would walk.
        Index(
            "products_search_idx",
            "tenant_id",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text("deleted_at IS NULL"),
        ),
        CheckConstraint("price_cents >= 0", name="price_cents"),
        CheckConstraint(_CHANNEL_PRICES, name="channel_prices"),
        CheckConstraint("compare_at_cents > price_cents", name="compare_at_cents"),
    )

    category_id: Mapped[UUID]
    name: Mapped[str]
    slug: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    sku: Mapped[str | None]
    price_cents: Mapped[int]
    compare_at_cents: Mapped[int | None]
    position: Mapped[int] = mapped_column(server_default="0")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    for_delivery: Mapped[bool] = mapped_column(server_default=text("true"))
    for_pickup: Mapped[bool] = mapped_column(server_default=text("true"))
    dietary_tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    image_file_ids: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    video_file_ids: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    media_alts: Mapped[dict[str, str]] = mapped_column(JSONB(), server_default=text("'{}'"))
    """What an image or a video shows, by file id."""
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB(), server_default=text("'{}'"))
    """Facts of the merchant's own, e.g. weight_g, dimensions_cm."""
    windows: Mapped[list[dict[str, Any]]] = mapped_column(JSONB(), server_default=text("'[]'"))
    """Weekly hours of the store's clock in which it is sold; none: always."""
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_until: Mapped[datetime | None]
    """When a pause ends by itself."""
    external_ref: Mapped[str | None]
    """Key of the system it was imported from; imports match by it."""
    search_text: Mapped[str] = mapped_column(
        Computed(SEARCH_TEXT, persisted=True), deferred=True, deferred_raiseload=True
    )
    """Name and SKU without accents, lower case; kept by Postgres, whoever writes the row."""
    deleted_at: Mapped[datetime | None]
    variants: Mapped[list[Variant]] = relationship(
        lazy="raise",
        viewonly=True,
        order_by="(Variant.position, Variant.id)",
        primaryjoin="and_(Product.tenant_id == Variant.tenant_id, "
        "Product.id == foreign(Variant.product_id), Variant.deleted_at.is_(None))",
    )
    group_links: Mapped[list[ProductModifierGroup]] = relationship(
        lazy="raise",
        order_by="(ProductModifierGroup.position, ProductModifierGroup.id)",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


class Variant(PricedByChannel, TenantModel):
    """A size or flavour with its own price; a product with variants is sold only by variant."""

    __tablename__ = "variants"
    __table_args__ = (
        within_tenant("product_id", "products", ondelete="CASCADE"),
        CheckConstraint("price_cents >= 0", name="price_cents"),
        CheckConstraint(_CHANNEL_PRICES, name="channel_prices"),
        Index("variants_tenant_id_product_id_idx", "tenant_id", "product_id"),
        Index(
            "variants_tenant_id_sku_key",
            "tenant_id",
            "sku",
            unique=True,
            postgresql_where=text("sku IS NOT NULL AND deleted_at IS NULL"),
        ),
    )

    product_id: Mapped[UUID]
    name: Mapped[str]
    sku: Mapped[str | None]
    price_cents: Mapped[int]
    position: Mapped[int] = mapped_column(server_default="0")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    deleted_at: Mapped[datetime | None]


class StoreProduct(PricedByChannel, TenantModel):
    """What one store does differently with a product: sells it or not, at other prices."""

    __tablename__ = "store_products"
    __table_args__ = (
        unique_within_tenant("store_id", "product_id"),
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        within_tenant("product_id", "products", ondelete="CASCADE"),
        CheckConstraint("price_cents >= 0", name="price_cents"),
        CheckConstraint(_CHANNEL_PRICES, name="channel_prices"),
    )

    store_id: Mapped[UUID]
    product_id: Mapped[UUID]
    is_available: Mapped[bool] = mapped_column(server_default=text("true"))
    price_cents: Mapped[int | None]
