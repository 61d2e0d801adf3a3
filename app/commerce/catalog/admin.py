"""HTTP of the catalogue's editors: categories, products, variants, modifier groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.commerce.catalog.assortment import AssortmentService
from app.commerce.catalog.bulk import (
    BulkEdit,
    BulkRead,
    DeletedProduct,
    ProductOrder,
    ProductRestore,
)
from app.commerce.catalog.models import Category, ModifierGroup, StoreProduct, Variant
from app.commerce.catalog.problems import (
    CategoryDeleted,
    CategoryNotEmpty,
    CategoryNotFound,
    ChoicesContradict,
    CompareAtTooLow,
    ExternalRefTaken,
    ImageNotFound,
    ModifierGroupNotFound,
    ModifierNotFound,
    ProductNotFound,
    SkuTaken,
    SlugTaken,
    TooManyCategories,
    VariantNotFound,
    WrongMedium,
)
from app.commerce.catalog.schemas import (
    WORDS,
    CategoryCreate,
    CategoryOrder,
    CategoryRead,
    CategoryUpdate,
    ModifierGroupCreate,
    ModifierGroupRead,
    ModifierGroupUpdate,
    ModifierList,
    ProductCreate,
    ProductGroups,
    ProductRead,
    ProductSummary,
    ProductUpdate,
    StoreOverride,
    StoreOverrideRead,
    VariantCreate,
    VariantRead,
    VariantUpdate,
)
from app.commerce.catalog.service import CategoryService, ModifierGroupService, ProductService
from app.commerce.stores.problems import StoreNotFound
from app.core.pagination import PageRead, Paging
from app.core.problems import Invalid, problems
from app.kernel.access import require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/admin/catalog", tags=["catalog (admin)"], route_class=ReplayableRoute
)
Categories = Annotated[CategoryService, service(CategoryService)]
Products = Annotated[ProductService, service(ProductService)]
Groups = Annotated[ModifierGroupService, service(ModifierGroupService)]
Assortment = Annotated[AssortmentService, service(AssortmentService)]
READ = require_module("commerce", "catalog:read")
WRITE = require_module("commerce", "catalog:write")


@router.get("/categories", response_model=list[CategoryRead], dependencies=[READ])
async def list_categories(categories: Categories) -> Sequence[Category]:
    """All categories in menu order; there are at most 500."""
    return await categories.in_order()


@router.post(
    "/categories",
    status_code=201,
    response_model=CategoryRead,
    responses=problems(SlugTaken, TooManyCategories),
    dependencies=[WRITE, Idempotent],
)
async def create_category(body: CategoryCreate, categories: Categories) -> Category:
    """Add a category."""
    return await categories.create(body)


@router.put(
    "/categories/order",
    response_model=list[CategoryRead],
    responses=problems(CategoryNotFound),
    dependencies=[WRITE],
)
async def reorder_categories(body: CategoryOrder, categories: Categories) -> Sequence[Category]:
    """Put these categories first, in this order; the others follow as they were."""
    return await categories.reorder(body.ids)


@router.get(
    "/categories/{category_id}",
    response_model=CategoryRead,
    responses=problems(CategoryNotFound),
    dependencies=[READ],
)
async def read_category(category_id: UUID, categories: Categories) -> Category:
    """One category."""
    return await categories.get(category_id)


@router.patch(
    "/categories/{category_id}",
    response_model=CategoryRead,
    responses=problems(CategoryNotFound, SlugTaken),
    dependencies=[WRITE],
)
async def update_category(
    category_id: UUID, body: CategoryUpdate, categories: Categories
) -> Category:
    """Change the fields that are sent. An inactive category hides its products, whose own
    state stays."""
    return await categories.update(category_id, body)


@router.delete(
    "/categories/{category_id}",
    status_code=204,
    responses=problems(CategoryNotFound, CategoryNotEmpty),
    dependencies=[WRITE],
)
async def delete_category(category_id: UUID, categories: Categories) -> None:
    """Delete a category that has no products."""
    await categories.delete(category_id)


@router.put(
    "/categories/{category_id}/products/order",
    status_code=204,
    responses=problems(CategoryNotFound, ProductNotFound),
    dependencies=[WRITE],
)
async def reorder_products(category_id: UUID, body: ProductOrder, assortment: Assortment) -> None:
    """Put these products of the category first, in this order; the others follow as they were."""
    await assortment.reorder(category_id, body.product_ids)


@router.post(
    "/products/bulk", responses=problems(CategoryNotFound), dependencies=[WRITE, Idempotent]
)
async def edit_products(body: BulkEdit, assortment: Assortment) -> BulkRead:
    """Change up to 200 products at once; the answer tells of each. Percent and amount move the
    prices of variants too; a store's own prices stay."""
    return BulkRead(items=await assortment.edit_many(body))


@router.get("/deleted-products", dependencies=[READ])
async def list_deleted_products(assortment: Assortment, page: Paging) -> PageRead[DeletedProduct]:
    """Products that were deleted and may be restored, newest first."""
    return PageRead[DeletedProduct].model_validate(await assortment.deleted(page))


@router.post(
    "/products/{product_id}/restore",
    responses=problems(ProductNotFound, CategoryNotFound, CategoryDeleted, SkuTaken),
    dependencies=[WRITE, Idempotent],
)
async def restore_product(
    product_id: UUID, body: ProductRestore, assortment: Assortment
) -> ProductRead:
    """Bring a deleted product back; another slug is made when its own was taken meanwhile."""
    return await assortment.restore(product_id, body.category_id)


@router.post(
    "/products/{product_id}/duplicate",
    status_code=201,
    responses=problems(ProductNotFound),
    dependencies=[WRITE, Idempotent],
)
async def duplicate_product(product_id: UUID, assortment: Assortment) -> ProductRead:
    """Make an inactive copy with variants, groups, images and stores; without SKUs."""
    return await assortment.duplicate(product_id)


@router.get("/products", dependencies=[READ])
async def list_products(
    products: Products,
    page: Paging,
    query: Annotated[str, Query(max_length=80, description=WORDS)] = "",
    category_id: UUID | None = None,
    is_active: bool | None = None,
) -> PageRead[ProductSummary]:
    """Products, newest first; with ``query`` the best match first."""
    found = await products.page(page, query, category_id, is_active)
    return PageRead[ProductSummary].model_validate(found)


@router.post(
    "/products",
    status_code=201,
    responses=problems(
        CategoryNotFound,
        ImageNotFound,
        WrongMedium,
        SkuTaken,
        SlugTaken,
        ExternalRefTaken,
        Invalid,
        CompareAtTooLow,
    ),
    dependencies=[WRITE, Idempotent],
)
async def create_product(body: ProductCreate, products: Products) -> ProductRead:
    """Add a product."""
    return await products.create(body)


@router.get("/products/{product_id}", responses=problems(ProductNotFound), dependencies=[READ])
async def read_product(product_id: UUID, products: Products) -> ProductRead:
    """One product with its variants, modifier groups, images and stores."""
    return await products.get(product_id)


@router.patch(
    "/products/{product_id}",
    responses=problems(
        ProductNotFound,
        CategoryNotFound,
        ImageNotFound,
        WrongMedium,
        SkuTaken,
        SlugTaken,
        ExternalRefTaken,
        Invalid,
        CompareAtTooLow,
    ),
    dependencies=[WRITE],
)
async def update_product(product_id: UUID, body: ProductUpdate, products: Products) -> ProductRead:
    """Change the fields that are sent; null empties sku, compare_at_cents, external_ref."""
    return await products.update(product_id, body)


@router.delete(
    "/products/{product_id}",
    status_code=204,
    responses=problems(ProductNotFound),
    dependencies=[WRITE],
)
async def delete_product(product_id: UUID, products: Products) -> None:
    """Take a product out of the catalogue; orders keep its name and price."""
    await products.delete(product_id)


@router.put(
    "/products/{product_id}/modifier-groups",
    responses=problems(ProductNotFound, ModifierGroupNotFound),
    dependencies=[WRITE],
)
async def set_product_groups(
    product_id: UUID, body: ProductGroups, products: Products
) -> ProductRead:
    """Say which modifier groups the product offers, in order."""
    return await products.set_groups(product_id, body.group_ids)


@router.put(
    "/products/{product_id}/stores/{store_id}",
    response_model=StoreOverrideRead,
    responses=problems(ProductNotFound, StoreNotFound),
    dependencies=[WRITE],
)
async def set_store_override(
    product_id: UUID, store_id: UUID, body: StoreOverride, products: Products
) -> StoreProduct:
    """Say what one store does differently: not sell it, or at another price."""
    return await products.set_override(product_id, store_id, body)


@router.post(
    "/products/{product_id}/variants",
    status_code=201,
    response_model=VariantRead,
    responses=problems(ProductNotFound, SkuTaken),
    dependencies=[WRITE, Idempotent],
)
async def create_variant(product_id: UUID, body: VariantCreate, products: Products) -> Variant:
    """Add a variant; from the first one on, the product is sold only by variant."""
    return await products.add_variant(product_id, body)


@router.patch(
    "/products/{product_id}/variants/{variant_id}",
    response_model=VariantRead,
    responses=problems(ProductNotFound, VariantNotFound, SkuTaken),
    dependencies=[WRITE],
)
async def update_variant(
    product_id: UUID, variant_id: UUID, body: VariantUpdate, products: Products
) -> Variant:
    """Change the fields that are sent; null empties sku."""
    return await products.update_variant(product_id, variant_id, body)


@router.delete(
    "/products/{product_id}/variants/{variant_id}",
    status_code=204,
    responses=problems(ProductNotFound, VariantNotFound),
    dependencies=[WRITE],
)
async def delete_variant(product_id: UUID, variant_id: UUID, products: Products) -> None:
    """Take a variant off its product."""
    await products.delete_variant(product_id, variant_id)


@router.get("/modifier-groups", dependencies=[READ])
async def list_modifier_groups(groups: Groups, page: Paging) -> PageRead[ModifierGroupRead]:
    """Modifier groups with their modifiers, newest first."""
    return PageRead[ModifierGroupRead].model_validate(await groups.page(page))


@router.post(
    "/modifier-groups",
    status_code=201,
    response_model=ModifierGroupRead,
    responses=problems(Invalid, ChoicesContradict, ModifierNotFound),
    dependencies=[WRITE, Idempotent],
)
async def create_modifier_group(body: ModifierGroupCreate, groups: Groups) -> ModifierGroup:
    """Add a modifier group ("adicionais") with its modifiers."""
    return await groups.create(body)


@router.get(
    "/modifier-groups/{group_id}",
    response_model=ModifierGroupRead,
    responses=problems(ModifierGroupNotFound),
    dependencies=[READ],
)
async def read_modifier_group(group_id: UUID, groups: Groups) -> ModifierGroup:
    """One modifier group with its modifiers."""
    return await groups.get(group_id)


@router.patch(
    "/modifier-groups/{group_id}",
    response_model=ModifierGroupRead,
    responses=problems(ModifierGroupNotFound, Invalid, ChoicesContradict),
    dependencies=[WRITE],
)
async def update_modifier_group(
    group_id: UUID, body: ModifierGroupUpdate, groups: Groups
) -> ModifierGroup:
    """Change the fields that are sent."""
    return await groups.update(group_id, body)


@router.put(
    "/modifier-groups/{group_id}/modifiers",
    response_model=ModifierGroupRead,
    responses=problems(ModifierGroupNotFound, ModifierNotFound),
    dependencies=[WRITE],
)
async def set_modifiers(group_id: UUID, body: ModifierList, groups: Groups) -> ModifierGroup:
    """Give the whole list: known ids are changed, new ones made, missing ones removed."""
    return await groups.set_modifiers(group_id, body.modifiers)


@router.delete(
    "/modifier-groups/{group_id}",
    status_code=204,
    responses=problems(ModifierGroupNotFound),
    dependencies=[WRITE],
)
async def delete_modifier_group(group_id: UUID, groups: Groups) -> None:
    """Delete a modifier group; no product offers it any more."""
    await groups.delete(group_id)
