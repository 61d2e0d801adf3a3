"""What can go wrong in the catalogue; each title says what to do next."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class CategoryNotFound(NotFound):
    code = "category-not-found"
    title = "There is no such category: list them at /api/v1/admin/catalog/categories."


class ProductNotFound(NotFound):
    code = "product-not-found"
    title = "There is no such product: list them at /api/v1/admin/catalog/products."


class VariantNotFound(NotFound):
    code = "variant-not-found"
    title = "The product has no such variant: read the product for those it has."


class ModifierGroupNotFound(NotFound):
    code = "modifier-group-not-found"
    title = "There is no such modifier group: list them at /api/v1/admin/catalog/modifier-groups."


class ModifierNotFound(NotFound):
    code = "modifier-not-found"
    title = "The group has no such modifier: leave out the id to create a new one."


class ImageNotFound(NotFound):
    code = "image-not-found"
    title = "An image or video was never uploaded: upload it first, then use the id of the answer."


class WrongMedium(Invalid):
    code = "wrong-medium"
    title = "image_file_ids takes images, video_file_ids MP4 and WebM: see ids for those that err."


class CategoryNotEmpty(Conflict):
    code = "category-not-empty"
    title = "The category still has products: move or delete them first."


class CategoryDeleted(Conflict):
    code = "category-deleted"
    title = "The product's category was deleted: send the category_id of another one."


class TooManyCategories(Conflict):
    code = "too-many-categories"
    title = "A menu holds at most 500 categories: delete or merge some first."


class SlugTaken(Conflict):
    code = "slug-taken"
    title = "Another one has this slug: choose a different one, or leave it out."


class SkuTaken(Conflict):
    code = "sku-taken"
    title = "Another product or variant has this SKU: choose a different one, or change that one."


class ExternalRefTaken(Conflict):
    code = "external-ref-taken"
    title = "Another product has this external_ref: it must be unique."


class CompareAtTooLow(Invalid):
    code = "compare-at-too-low"
    title = "compare_at_cents is the price before: it must be above price_cents, or null."


class ChoicesContradict(Invalid):
    code = "choices-contradict"
    title = "min_choices may not be above max_choices."
