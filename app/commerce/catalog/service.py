"""What can be done to the catalogue; every change is told and forgets the menus kept ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from app.commerce.catalog.menu import file_keys
from app.commerce.catalog.models import (
    Category,
    Modifier,
    ModifierGroup,
    Product,
    ProductModifierGroup,
    StoreProduct,
    Variant,
)
from app.commerce.catalog.problems import (
    CategoryNotEmpty,
    CategoryNotFound,
    ChoicesContradict,
    CompareAtTooLow,
    ImageNotFound,
    ModifierGroupNotFound,
    ModifierNotFound,
    TooManyCategories,
    WrongMedium,
)
from app.commerce.catalog.rendering import media_of
from app.commerce.catalog.repository import (
    CategoryRepository,
    ModifierGroupRepository,
    ProductRepository,
    VariantRepository,
)
from app.commerce.catalog.rules import free_slug, kind_of_medium, search_words, slugify
from app.commerce.catalog.schemas import (
    CategoryCreate,
    CategoryUpdate,
    MediumRead,
    ModifierGroupCreate,
    ModifierGroupRead,
    ModifierGroupUpdate,
    ModifierWrite,
    ProductCreate,
    ProductRead,
    ProductSummary,
    ProductUpdate,
    StoreOverride,
    StoreOverrideRead,
    VariantCreate,
    VariantRead,
    VariantUpdate,
)
from app.commerce.catalog.snapshot import TOPIC
from app.commerce.stores.problems import StoreNotFound
from app.contracts.commerce import CatalogChanged
from app.core.clock import now
from app.core.model import Model
from app.core.pagination import Page, PageRequest
from app.core.schema import Input
from app.kernel.files.service import FileService
from app.kernel.work import UnitOfWork, Work

MAX_CATEGORIES = 500


def tell(work: UnitOfWork, kind: str, change: str, item_id: UUID, name: str) -> None:
    """Publish a change and forget the menus kept ready, at the commit."""
    work.publish(CatalogChanged(kind=kind, change=change, item_id=item_id, item_name=name))
    work.ring(TOPIC)


def _sent(body: Input) -> dict[str, object]:
    return body.model_dump(include=body.model_fields_set)


def _with_pause(sent: dict[str, object]) -> dict[str, object]:
    """A pause that is lifted has no end left, one with an end is one, a new one begins without."""
    if "is_paused" in sent:
        sent.setdefault("paused_until", None)
        if not sent["is_paused"]:
            sent["paused_until"] = None
    elif sent.get("paused_until") is not None:
        sent["is_paused"] = True
    return sent


def _apply(work: UnitOfWork, row: Model, values: Mapping[str, object], resource: str) -> None:
    """Set the values on ``row``; the audit trail keeps before and after of those that differ."""
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    for field, value in values.items():
        if getattr(row, field) != value:
            before[field], after[field] = getattr(row, field), value
            setattr(row, field, value)
    if after:
        work.record(f"catalog.{resource}_edited", resource, row.id, before=before, after=after)


class CategoryService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.categories = CategoryRepository(work.session)

    async def in_order(self) -> Sequence[Category]:
        """All categories, in menu order; there are at most 500."""
        return await self.categories.in_order()

    async def get(self, category_id: UUID) -> Category:
        return await self.categories.get(category_id)

    async def create(self, body: CategoryCreate) -> Category:
        """Raises SlugTaken, TooManyCategories."""
        if await self.categories.count() >= MAX_CATEGORIES:
            raise TooManyCategories()
        slug = body.slug
        if slug is None:
            base = slugify(body.name)
            slug = free_slug(base, await self.categories.slugs_like(base))
        fields = body.model_dump(exclude={"slug"})
        category = await self.categories.add(Category(slug=slug, is_paused=False, **fields))
        tell(self.work, "category", "created", category.id, category.name)
        return category

    async def update(self, category_id: UUID, body: CategoryUpdate) -> Category:
        """Raises CategoryNotFound, SlugTaken."""
        category = await self.categories.get(category_id, lock=True)
        _apply(self.work, category, _with_pause(_sent(body)), "category")
        await self.categories.flush()
        tell(self.work, "category", "updated", category.id, category.name)
        return category

    async def delete(self, category_id: UUID) -> None:
        """Soft. Raises CategoryNotFound, CategoryNotEmpty."""
        # The lock keeps products from being moved here meanwhile: they take a share of it.
        category = await self.categories.get(category_id, lock=True)
        if await self.categories.has_products(category_id):
            raise CategoryNotEmpty()
        category.deleted_at = now()
        tell(self.work, "category", "deleted", category.id, category.name)

    async def reorder(self, ids: Sequence[UUID]) -> Sequence[Category]:
        """Put these first, in this order; the others follow as they were.

        Raises CategoryNotFound when one is unknown.
        """
        known = {c.id: c for c in await self.categories.in_order(lock=True)}
        wanted = list(dict.fromkeys(ids))
        for category_id in wanted:
            if category_id not in known:
                raise CategoryNotFound(id=str(category_id))
        ordered = [known.pop(i) for i in wanted] + list(known.values())
        for position, category in enumerate(ordered):
            category.position = position
        tell(self.work, "category", "updated", ordered[0].id, ordered[0].name)
        return ordered


class ProductService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.products = ProductRepository(work.session)
        self.variants = VariantRepository(work.session)
        self.categories = CategoryRepository(work.session)

    async def page(
        self, page: PageRequest, query: str, category_id: UUID | None, is_active: bool | None
    ) -> Page[Product]:
        """Products, newest first; with ``query`` those it names, the best first."""
        words = search_words(query)
        if words:
            return await self.products.named(words, page, category_id, is_active)
        return await self.products.filtered(page, category_id, is_active)

    async def get(self, product_id: UUID) -> ProductRead:
        product = await self.products.whole(product_id)
        images, videos = product.image_file_ids, product.video_file_ids
        keys = await file_keys(self.work.session, [UUID(i) for i in (*images, *videos)])
        shown = {str(i): key for i, key in keys.items()}
        overrides = await self.products.overrides(product_id)
        return ProductRead(
            **ProductSummary.model_validate(product).model_dump(),
            images=[MediumRead(**m) for m in media_of(images, shown, product.media_alts)],
            videos=[MediumRead(**m) for m in media_of(videos, shown, product.media_alts)],
            variants=[VariantRead.model_validate(v) for v in product.variants],
            modifier_groups=[
                ModifierGroupRead.model_validate(link.group) for link in product.group_links
            ],
            stores=[StoreOverrideRead.model_validate(o) for o in overrides],
        )

    async def create(self, body: ProductCreate) -> ProductRead:
        """Raises CategoryNotFound, ImageNotFound, WrongMedium, CompareAtTooLow, SlugTaken,
        SkuTaken, ExternalRefTaken."""
        await self._check_references(body.category_id, body.image_file_ids, body.video_file_ids)
        slug = body.slug
        if slug is None:
            base = slugify(body.name)
            slug = free_slug(base, await self.products.slugs_like(base))
        fields = {**body.model_dump(exclude={"slug"}), **_media(body)}
        product = Product(slug=slug, **fields)
        await self.products.claim_sku(body.sku)
        _check_prices(product)
        await self.products.add(product)
        tell(self.work, "product", "created", product.id, product.name)
        return await self.get(product.id)

    async def update(self, product_id: UUID, body: ProductUpdate) -> ProductRead:
        """Raises ProductNotFound and all that ``create`` raises."""
        product = await self.products.get(product_id, lock=True)
        sent = _sent(body)
        await self._check_references(
            body.category_id if "category_id" in sent else None,
            body.image_file_ids,
            body.video_file_ids,
        )
        sent |= {name: value for name, value in _media(body).items() if name in sent}
        if "sku" in sent:
            await self.products.claim_sku(body.sku, product_id)
        _apply(self.work, product, _with_pause(sent), "product")
        _check_prices(product)
        await self.products.flush()
        tell(self.work, "product", "updated", product.id, product.name)
        return await self.get(product_id)

    async def delete(self, product_id: UUID) -> None:
        """Soft: orders keep their own names and prices. Raises ProductNotFound."""
        product = await self.products.get(product_id, lock=True)
        product.deleted_at = now()
        await self.products.delete_variants(product_id, product.deleted_at)
        product.external_ref = None  # free for the product that an import brings next
        tell(self.work, "product", "deleted", product.id, product.name)

    async def add_variant(self, product_id: UUID, body: VariantCreate) -> Variant:
        """Raises ProductNotFound, SkuTaken."""
        product = await self.products.get(product_id, lock=True)
        await self.products.claim_sku(body.sku)
        variant = await self.variants.add(Variant(product_id=product_id, **body.model_dump()))
        tell(self.work, "product", "updated", product.id, product.name)
        return variant

    async def update_variant(
        self, product_id: UUID, variant_id: UUID, body: VariantUpdate
    ) -> Variant:
        """Raises ProductNotFound, VariantNotFound, SkuTaken."""
        product = await self.products.get(product_id)
        variant = await self.variants.of(product_id, variant_id)
        if "sku" in body.model_fields_set:
            await self.products.claim_sku(body.sku, variant_id)
        _apply(self.work, variant, _sent(body), "variant")
        await self.variants.flush()
        tell(self.work, "product", "updated", product.id, product.name)
        return variant

    async def delete_variant(self, product_id: UUID, variant_id: UUID) -> None:
        """Soft. Raises ProductNotFound, VariantNotFound."""
        product = await self.products.get(product_id)
        (await self.variants.of(product_id, variant_id)).deleted_at = now()
        tell(self.work, "product", "updated", product.id, product.name)

    async def set_groups(self, product_id: UUID, group_ids: Sequence[UUID]) -> ProductRead:
        """Offer these modifier groups, in this order. Raises ProductNotFound, and
        ModifierGroupNotFound with the unknown id."""
        product = await self.products.get(product_id, lock=True)
        existing = await ModifierGroupRepository(self.work.session).existing(group_ids)
        for group_id in group_ids:
            if group_id not in existing:
                raise ModifierGroupNotFound(id=str(group_id))
        links = {link.group_id: link for link in await self.products.links(product_id)}
        for position, group_id in enumerate(group_ids):
            link = links.pop(group_id, None) or ProductModifierGroup(
                product_id=product_id, group_id=group_id
            )
            link.position = position
            self.work.session.add(link)
        for link in links.values():
            await self.work.session.delete(link)
        await self.products.flush()
        tell(self.work, "product", "updated", product.id, product.name)
        return await self.get(product_id)

    async def set_override(
        self, product_id: UUID, store_id: UUID, body: StoreOverride
    ) -> StoreProduct:
        """What one store does differently. Raises ProductNotFound, StoreNotFound."""
        product = await self.products.get(product_id, lock=True)
        if not await self.products.has_store(store_id):
            raise StoreNotFound()
        found = [o for o in await self.products.overrides(product_id) if o.store_id == store_id]
        override = found[0] if found else StoreProduct(store_id=store_id, product_id=product_id)
        for name, value in body.model_dump().items():
            setattr(override, name, value)
        self.work.session.add(override)
        await self.products.flush()
        tell(self.work, "product", "updated", product.id, product.name)
        return override

    async def _check_references(
        self, category_id: UUID | None, images: Sequence[UUID], videos: Sequence[UUID]
    ) -> None:
        if category_id is not None:
            await self.categories.get_shared(category_id)
        files = {*images, *videos}
        missing = files - await FileService(self.work).held(files)
        if missing:
            raise ImageNotFound(ids=sorted(map(str, missing)))
        keys = await file_keys(self.work.session, files)
        wrong = [i for i in images if kind_of_medium(keys[i]) != "image"]
        wrong += [i for i in videos if kind_of_medium(keys[i]) != "video"]
        if wrong:
            raise WrongMedium(ids=sorted(map(str, wrong)))


def _media(body: ProductCreate | ProductUpdate) -> dict[str, object]:
    """The media as their columns hold them: ids are text."""
    return {
        "image_file_ids": [str(i) for i in body.image_file_ids],
        "video_file_ids": [str(i) for i in body.video_file_ids],
        "media_alts": {str(i): alt for i, alt in body.media_alts.items()},
    }


def _check_prices(product: Product) -> None:
    if product.compare_at_cents is not None and product.compare_at_cents <= product.price_cents:
        raise CompareAtTooLow(
            errors=[{"pointer": "/body/compare_at_cents", "detail": CompareAtTooLow.title}]
        )


class ModifierGroupService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.groups = ModifierGroupRepository(work.session)

    async def page(self, page: PageRequest) -> Page[ModifierGroup]:
        return await self.groups.page(self.groups.query(), page)

    async def get(self, group_id: UUID) -> ModifierGroup:
        return await self.groups.get(group_id)

    async def create(self, body: ModifierGroupCreate) -> ModifierGroup:
        """Raises ChoicesContradict, ModifierNotFound (a new group has no known modifiers)."""
        group = ModifierGroup(**body.model_dump(exclude={"modifiers"}))
        _check_choices(group)
        await self.groups.add(group)
        await self._put(group.id, {}, body.modifiers)
        tell(self.work, "modifier_group", "created", group.id, group.name)
        return await self.groups.afresh(group.id)

    async def update(self, group_id: UUID, body: ModifierGroupUpdate) -> ModifierGroup:
        """Raises ModifierGroupNotFound, ChoicesContradict."""
        group = await self.groups.get(group_id, lock=True)
        _apply(self.work, group, _sent(body), "modifier_group")
        _check_choices(group)
        tell(self.work, "modifier_group", "updated", group.id, group.name)
        return group

    async def set_modifiers(self, group_id: UUID, wanted: list[ModifierWrite]) -> ModifierGroup:
        """The whole list: known ids are changed, new ones made, missing ones removed.

        Raises ModifierGroupNotFound, ModifierNotFound with the id that is not the group's.
        """
        group = await self.groups.get(group_id, lock=True)
        await self._put(group_id, {m.id: m for m in group.modifiers}, wanted)
        tell(self.work, "modifier_group", "updated", group.id, group.name)
        return await self.groups.afresh(group_id)

    async def delete(self, group_id: UUID) -> None:
        """Soft; no product offers it any more. Raises ModifierGroupNotFound."""
        group = await self.groups.get(group_id, lock=True)
        group.deleted_at = now()
        await self.groups.unlink(group_id)
        tell(self.work, "modifier_group", "deleted", group.id, group.name)

    async def _put(
        self, group_id: UUID, known: dict[UUID, Modifier], wanted: Sequence[ModifierWrite]
    ) -> None:
        for item in wanted:
            if item.id is not None and item.id not in known:
                raise ModifierNotFound(id=str(item.id))
        for position, item in enumerate(wanted):
            fields = {**item.model_dump(exclude={"id"}), "position": position}
            if item.id is None:
                self.work.session.add(Modifier(group_id=group_id, **fields))
                continue
            _apply(self.work, known.pop(item.id), fields, "modifier")
        await self.groups.flush()
        await self.groups.remove_modifiers(list(known))


def _check_choices(group: ModifierGroup) -> None:
    if group.min_choices > group.max_choices:
        raise ChoicesContradict(
            errors=[{"pointer": "/body/min_choices", "detail": ChoicesContradict.title}]
        )
