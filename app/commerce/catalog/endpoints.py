"""HTTP of the storefront's catalogue: the whole menu from ready bytes, and its search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.commerce.catalog.menu_schemas import MenuProduct, MenuRead
from app.commerce.catalog.schemas import WORDS
from app.commerce.catalog.snapshot import menus
from app.commerce.catalog.storefront import MenuService
from app.commerce.stores.problems import StoreNotFound
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import public
from app.kernel.work import runtime_of, service

router = APIRouter(prefix="/api/v1/catalog", tags=["catalog"])
Menus = Annotated[MenuService, service(MenuService)]
StoreSlug = Annotated[
    str,
    Query(
        max_length=80,
        pattern="^[a-z0-9-]*$",
        description="Slug of the store; left out: the tenant's first one.",
        examples=["vila-madalena"],
    ),
]
_FAILURES = problems(StoreNotFound)
_NOT_MODIFIED: dict[int | str, dict[str, object]] = {
    304: {"description": "The menu is the one that If-None-Match names."}
}


@router.get(
    "",
    response_model=MenuRead,
    responses={**_FAILURES, **_NOT_MODIFIED},
    dependencies=[public("commerce")],
)
async def read_menu(request: Request, store: StoreSlug = "") -> Response:
    """The whole menu of a store: categories, products, variants, modifiers, availability.

    Answers carry a strong ETag; send it back in If-None-Match to get 304 while nothing changed.
    """
    meta = request.scope["meta"]
    menu = await menus(runtime_of(request)).get(meta.tenant, store.encode())
    status, headers, body = menu.answer(meta.headers)
    response = Response(body, status)
    response.raw_headers = list(headers)
    return response


@router.get(
    "/products",
    response_model=PageRead[MenuProduct],
    responses=_FAILURES,
    dependencies=[public("commerce")],
)
async def search_menu(
    menu: Menus,
    page: Paging,
    store: StoreSlug = "",
    query: Annotated[str, Query(max_length=80, description=WORDS)] = "",
    category: Annotated[str, Query(max_length=80, description="Slug or id.")] = "",
) -> Response:
    """Search what a store sells, the best match first; without words the newest first. The same
    products as in its menu."""
    body = await menu.search(store, query, category, page)
    return Response(body, media_type="application/json")
