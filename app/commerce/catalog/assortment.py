"""What is done to whole products: edits of many, their order, copies, and bringing back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

import orjson

from app.commerce.catalog.bulk import BulkEdit, BulkOutcome, PriceEdit
from app.commerce.catalog.models import Product, ProductModifierGroup, StoreProduct, Variant
from app.commerce.catalog.problems import (
    CategoryDeleted,
    CategoryNotFound,
    CompareAtTooLow,
    ProductNotFound,
)
from app.commerce.catalog.repository import PRICES, CategoryRepository, ProductRepository
from app.commerce.catalog.rules import edited_price, edited_tags, free_slug, slugify
from app.commerce.catalog.schemas import MAX_CENTS, ProductRead
from app.commerce.catalog.service import ProductService, tell
from app.core.pagination import Page, PageRequest
from app.kernel.work import Work

_MAX_TAGS = 20
_COPIED = (
    "category_id", "description", *PRICES, "compare_at_cents", "position", "for_delivery",
    "for_pickup", "dietary_tags", "image_file_ids", "video_file_ids", "media_alts", "attributes",
    "windows",
)  # fmt: skip

Row = Mapping[str, object]
Sizes = dict[tuple[UUID, str], int]
"""Variants' prices, by the variant and the kind of price."""


class AssortmentService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.products = ProductRepository(work.session)
        self.categories = CategoryRepository(work.session)

    async def edit_many(self, body: BulkEdit) -> list[BulkOutcome]:
        """One answer per product; one statement per field. Raises CategoryNotFound."""
        if body.category_id is not None:
            await self.categories.get_shared(body.category_id)
        rows = await self.products.held(body.product_ids)
        sizes = await self._sizes(body)
        answers: list[BulkOutcome] = []
        edits: dict[tuple[str, str], dict[UUID, str]] = defaultdict(dict)
        for product_id in body.product_ids:
            row = rows.get(product_id)
            if row is None:
                answers.append(_answer(product_id, ProductNotFound.code, False))
                continue
            code, changes, variants = _judge(body, row, sizes.get(product_id, {}))
            if changes or variants:
                self._note(product_id, row, changes, variants)
            for field, value in changes.items():
                edits["products", field][product_id] = _as_text(value)
            for (variant_id, field), price in variants.items():
                edits["variants", field][variant_id] = str(price)
            answers.append(_answer(product_id, code, bool(changes or variants)))
        for (table, field), values in edits.items():
            await self.products.edit_many(table, field, values)
        return answers

    async def _sizes(self, body: BulkEdit) -> dict[UUID, Sizes]:
        """By product the prices of its variants, when the edit is about them."""
        found: dict[UUID, Sizes] = defaultdict(dict)
        if body.price and body.price.by != "set":
            for row in await self.products.held_variants(body.product_ids):
                prices = {(row["id"], field): row[field] for field in PRICES}
                found[row["product_id"]] |= {k: v for k, v in prices.items() if v is not None}
        return found

    def _note(self, product_id: UUID, row: Row, changes: Row, variants: Sizes) -> None:
        before = {field: row[field] for field in changes}
        after = dict(changes)
        if variants:
            after["variant_prices_cents"] = {
                f"{id}.{field}": price for (id, field), price in variants.items()
            }
        self.work.record(
            "catalog.product_edited", "product", product_id, before=before, after=after
        )
        tell(self.work, "product", "updated", product_id, str(row["name"]))

    async def reorder(self, category_id: UUID, ids: Sequence[UUID]) -> None:
        """Put these products of the category first, in this order; the others follow as they
        were. Raises CategoryNotFound, ProductNotFound with the id that is not the category's."""
        category = await self.categories.get(category_id, lock=True)
        rows = await self.products.held_of_category(category_id)
        rest = {r["id"]: r for r in sorted(rows, key=lambda r: (r["position"], r["name"]))}
        positions = {i: r["position"] for i, r in rest.items()}
        for product_id in ids:
            if rest.pop(product_id, None) is None:
                raise ProductNotFound(id=str(product_id))
        moved = {i: str(place) for place, i in enumerate([*ids, *rest]) if positions[i] != place}
        await self.products.edit_many("products", "position", moved)
        tell(self.work, "category", "updated", category.id, category.name)

    async def duplicate(self, product_id: UUID) -> ProductRead:
        """An inactive copy with variants, groups, images and stores; SKUs and references stay
        with the original. Raises ProductNotFound."""
        source = await self.products.whole(product_id)
        name = source.name[:111].rstrip() + " (cópia)"
        base = slugify(name)
        slug = free_slug(base, await self.products.slugs_like(base))
        fields = {field: getattr(source, field) for field in _COPIED}
        await self.categories.get_shared(source.category_id)
        copy = await self.products.add(Product(name=name, slug=slug, is_active=False, **fields))
        self.work.session.add_all(_belongings(source, copy.id))
        self.work.session.add_all(
            StoreProduct(
                product_id=copy.id,
                store_id=o.store_id,
                is_available=o.is_available,
                **_prices(o),
            )
            for o in await self.products.overrides(product_id)
        )
        await self.products.flush()
        tell(self.work, "product", "created", copy.id, copy.name)
        return await ProductService(self.work).get(copy.id)

    async def deleted(self, page: PageRequest) -> Page[Product]:
        """The bin, newest product first."""
        return await self.products.deleted(page)

    async def restore(self, product_id: UUID, category_id: UUID | None) -> ProductRead:
        """Bring a deleted product back as it was, with another slug when its own was taken; one
        that was not deleted stays as it is.

        Raises ProductNotFound, CategoryNotFound, CategoryDeleted, SkuTaken.
        """
        product = await self.products.get_any(product_id)
        try:
            await self.categories.get_shared(category_id or product.category_id)
        except CategoryNotFound as missing:
            raise missing if category_id else CategoryDeleted() from missing
        if product.deleted_at is None:
            return await ProductService(self.work).get(product_id)
        if category_id is not None:
            product.category_id = category_id
        product.slug = free_slug(product.slug, await self.products.slugs_like(product.slug))
        await self.products.restore_variants(product_id, product.deleted_at)
        product.deleted_at = None
        await self.products.flush()
        tell(self.work, "product", "created", product.id, product.name)
        return await ProductService(self.work).get(product_id)


def _belongings(source: Product, copy_id: UUID) -> list[Variant | ProductModifierGroup]:
    """Copies of the product's variants, without their SKUs, and of its links to groups."""
    variants = [
        Variant(
            product_id=copy_id,
            name=v.name,
            **_prices(v),
            position=v.position,
            is_active=v.is_active,
        )
        for v in source.variants
    ]
    links = [
        ProductModifierGroup(product_id=copy_id, group_id=link.group_id, position=link.position)
        for link in source.group_links
    ]
    return [*variants, *links]


def _prices(of: Variant | StoreProduct) -> dict[str, int]:
    return {field: getattr(of, field) for field in PRICES}


def _answer(product_id: UUID, code: str, changed: bool) -> BulkOutcome:
    status: Literal["changed", "unchanged", "refused"] = "changed" if changed else "unchanged"
    return BulkOutcome(
        product_id=product_id, status="refused" if code else status, code=code or None
    )


def _judge(body: BulkEdit, row: Row, sizes: Sizes) -> tuple[str, dict[str, object], Sizes]:
    """Why the product is refused ('': it is not), what changes of it, and its variants' prices."""
    wanted: dict[str, object] = {}
    variants: Sizes = {}
    code = ""
    if body.price is not None:
        # What is set is the usual price; what goes up or down takes the channels' along.
        fields = PRICES[:1] if body.price.by == "set" else PRICES
        prices = {f: _edited(body.price, row[f]) for f in fields if row[f] is not None}
        variants = {i: _edited(body.price, price) for i, price in sizes.items()}
        code = _refusal(row, [*prices.values(), *variants.values()])
        wanted |= prices
    if body.is_active is not None:
        wanted["is_active"] = body.is_active
    if body.category_id is not None:
        wanted["category_id"] = body.category_id
    if body.add_tags or body.remove_tags:
        tags = edited_tags(_tags(row), body.add_tags, body.remove_tags)
        wanted["dietary_tags"] = tags
        code = code or ("too-many-tags" if len(tags) > _MAX_TAGS else "")
    if code:
        return code, {}, {}
    changes = {field: value for field, value in wanted.items() if row[field] != value}
    return "", changes, {i: price for i, price in variants.items() if sizes[i] != price}


def _tags(row: Row) -> list[str]:
    tags = row["dietary_tags"]
    return tags if isinstance(tags, list) else []


def _edited(edit: PriceEdit, price: object) -> int:
    return edited_price(int(str(price)), edit.by, edit.value, edit.round_to_cents)


def _refusal(row: Row, prices: Sequence[int]) -> str:
    """Why a product may not have these prices, its own first; '': it may."""
    if min(prices) < 0 or max(prices) > MAX_CENTS:
        return "price-out-of-range"
    before = row["compare_at_cents"]
    return CompareAtTooLow.code if isinstance(before, int) and before <= prices[0] else ""


def _as_text(value: object) -> str:
    return orjson.dumps(value).decode() if isinstance(value, list) else str(value)
