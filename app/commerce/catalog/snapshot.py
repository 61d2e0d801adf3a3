"""The menus this process keeps as ready bytes: built once, served many times, forgotten in time.

A menu is forgotten when the doorbell ``catalog`` rings for its tenant; the next reader then
waits for one build, which every other reader of that menu joins. When a menu has only grown old
(rings may be lost), the old bytes are served once more while one build runs behind.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from asyncpg import Record
from starlette.types import Scope

from app.commerce.catalog.menu import MenuParts, MenuRepository
from app.commerce.catalog.rendering import Moment, menu_document
from app.commerce.stores.problems import StoreNotFound
from app.contracts.prices import PriceTags
from app.core.clock import now
from app.kernel.request import Headers, Meta
from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, unit_of_work

TOPIC = "catalog"
_FRESH_S = 30.0
_FRESH_BLIND_S = 1.0
"""How long a menu is believed while no doorbell can be heard."""
_BUDGET_BYTES = 256 * 1024 * 1024
_ACTOR = Actor("system", "catalog-snapshot")
_GZIP_LEVEL = 6

Answer = tuple[int, Headers, bytes]


class Menu:
    """One menu as it is sent: plain and gzip, with the answers 200 and 304 ready for each.

    The two codings are two representations, so each has a strong ETag of its own (RFC 9110
    §8.8.3.3), and caches are told what the choice hangs on by Vary.
    """

    __slots__ = (
        "_gzip", "_gzip_same", "_gzip_tag", "_plain", "_plain_same", "_plain_tag", "changes_at",
        "size",
    )  # fmt: skip

    def __init__(self, body: bytes, changes_at: datetime | None = None) -> None:
        self.changes_at = changes_at
        """When something comes on or off its shelf: the menu is another one then."""
        packed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        digest = hashlib.sha256(body).hexdigest()[:32]
        self.size = len(body) + len(packed)
        self._plain_tag, self._gzip_tag = f'"{digest}"'.encode(), f'"{digest}-gzip"'.encode()
        self._plain, self._plain_same = _answers(self._plain_tag, body, [])
        coding = [(b"content-encoding", b"gzip")]
        self._gzip, self._gzip_same = _answers(self._gzip_tag, packed, coding)

    def answer(self, headers: Mapping[bytes, bytes]) -> Answer:
        """The answer to a request with these headers: 200 or 304, in the coding it takes."""
        seen = headers.get(b"if-none-match")
        if _takes_gzip(headers.get(b"accept-encoding", b"")):
            if seen is not None and _names(seen, self._gzip_tag):
                return self._gzip_same
            return self._gzip
        if seen is not None and _names(seen, self._plain_tag):
            return self._plain_same
        return self._plain


def _answers(tag: bytes, body: bytes, coding: Headers) -> tuple[Answer, Answer]:
    validators: Headers = [
        (b"etag", tag),
        # Kept anywhere, used only after asking us: a changed price is never shown old.
        (b"cache-control", b"no-cache"),
        (b"vary", b"Accept-Encoding, X-Tenant, X-Tenant-Id"),
    ]
    length = (b"content-length", str(len(body)).encode())
    kind = (b"content-type", b"application/json")
    return (200, [kind, length, *coding, *validators], body), (304, validators, b"")


@lru_cache(maxsize=64)
def _takes_gzip(accepted: bytes) -> bool:
    """Whether Accept-Encoding allows gzip (RFC 9110 §12.5.3): named or ``*``, and not q=0."""
    allowed: dict[bytes, bool] = {}
    for item in accepted.lower().split(b","):
        coding, _, weight = item.partition(b";")
        weight = weight.strip()
        allowed[coding.strip()] = not (weight.startswith(b"q=0") and not weight.strip(b"q=0."))
    return allowed.get(b"gzip", allowed.get(b"*", False))


def _names(seen: bytes, tag: bytes) -> bool:
    """Whether If-None-Match names ``tag``; weak comparison, as RFC 9110 §13.1.2 asks."""
    if seen in (tag, b"*"):
        return True
    return tag in (item.strip().removeprefix(b"W/") for item in seen.split(b","))


class _Kept:
    """A menu and until when it may be served: as fresh, and while a new one is being made."""

    __slots__ = ("fresh_until", "menu", "usable_until")

    def __init__(self, menu: Menu, life_s: float) -> None:
        at = time.monotonic()
        left = life_s * 2
        if menu.changes_at is not None:
            left = min(left, (menu.changes_at - now()).total_seconds())
        self.menu = menu
        self.fresh_until = at + min(life_s, left)
        self.usable_until = at + left


class _Shelf:
    """The menus of one tenant; ``generation`` counts the doorbells."""

    __slots__ = ("builds", "generation", "kept")

    def __init__(self) -> None:
        self.generation = 0
        self.kept: dict[bytes, _Kept] = {}
        self.builds: dict[bytes, _Build] = {}


class _Build:
    """A build in flight; ``generation`` is None until it has begun to read."""

    __slots__ = ("generation", "task")

    def __init__(self) -> None:
        self.generation: int | None = None
        self.task: asyncio.Task[Menu]


class MenuCache:
    """The menus of one process; make it once per Runtime with ``menus``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._shelves: dict[UUID, _Shelf] = {}
        self._size = 0
        self.built = 0
        """How many menus were built since the start."""
        runtime.bus.listen(TOPIC, self._rung)

    def peek(self, tenant: TenantContext, slug: bytes) -> Menu | None:
        """The menu if it may be served now; starts a new build behind one that grew old."""
        shelf = self._shelves.get(tenant.id)
        kept = shelf.kept.get(slug) if shelf is not None else None
        if shelf is None or kept is None:
            return None
        at = time.monotonic()
        if at < kept.fresh_until:
            return kept.menu
        if at >= kept.usable_until:
            return None
        self._build(shelf, tenant, slug)
        return kept.menu

    async def get(self, tenant: TenantContext, slug: bytes) -> Menu:
        """The menu, kept or built; '' is the first store. Raises StoreNotFound."""
        menu = self.peek(tenant, slug)
        if menu is not None:
            return menu
        shelf = self._shelves.setdefault(tenant.id, _Shelf())
        # A reader who goes away must not take the build from the others.
        return await asyncio.shield(self._build(shelf, tenant, slug).task)

    def _build(self, shelf: _Shelf, tenant: TenantContext, slug: bytes) -> _Build:
        """The build to wait for: one that has read nothing from before the last doorbell."""
        running = shelf.builds.get(slug)
        if running is not None and running.generation in (None, shelf.generation):
            return running
        build = shelf.builds[slug] = _Build()
        # After a doorbell one build waits behind the one in flight, so a storm of doorbells
        # costs two builds at a time, not one for each.
        before = running.task if running is not None else None
        build.task = asyncio.create_task(self._run(build, before, shelf, tenant, slug))
        build.task.add_done_callback(_seen)
        return build

    async def _run(
        self,
        build: _Build,
        before: asyncio.Task[Menu] | None,
        shelf: _Shelf,
        tenant: TenantContext,
        slug: bytes,
    ) -> Menu:
        try:
            if before is not None:
                await asyncio.wait({before})
            build.generation = shelf.generation
            menu = await self._read(tenant, slug)
            if build.generation == shelf.generation:
                self._keep(shelf, slug, menu)
            return menu
        finally:
            if shelf.builds.get(slug) is build:
                del shelf.builds[slug]

    async def _read(self, tenant: TenantContext, slug: bytes) -> Menu:
        at = now()
        async with unit_of_work(self._runtime, tenant, _ACTOR) as work:
            found = MenuRepository(work.session)
            store = await found.store(slug.decode())
            if store is None:
                raise StoreNotFound()
            parts = await found.parts(store["id"])
            tags = await work.port(PriceTags).at(store["id"], store["timezone"], at)
        self.built += 1
        # In a thread: a menu of thousands takes its time, and readers of others do not wait.
        moment = Moment(store["timezone"], at, tags)
        return await asyncio.to_thread(_render, store, parts, tenant.currency, moment)

    def _keep(self, shelf: _Shelf, slug: bytes, menu: Menu) -> None:
        old = shelf.kept.pop(slug, None)
        self._size += menu.size - (old.menu.size if old is not None else 0)
        if self._size > _BUDGET_BYTES:
            self._rung("")
            self._size = menu.size
        life = _FRESH_S if self._runtime.bus.connected else _FRESH_BLIND_S
        shelf.kept[slug] = _Kept(menu, life)

    def _rung(self, key: str) -> None:
        rung = [self._shelves.get(UUID(key))] if key else [*self._shelves.values()]
        for shelf in rung:
            if shelf is not None:
                shelf.generation += 1
                self._size -= sum(kept.menu.size for kept in shelf.kept.values())
                shelf.kept.clear()


def _seen(task: asyncio.Task[Menu]) -> None:
    # Whoever waits gets the error; a build behind old bytes has nobody waiting.
    if not task.cancelled():
        task.exception()


def menus(runtime: Runtime) -> MenuCache:
    """The cache of this runtime, made at its first use."""
    cache: MenuCache | None = runtime.caches.get(TOPIC)
    if cache is None:
        cache = runtime.caches[TOPIC] = MenuCache(runtime)
    return cache


def ready(scope: Scope, meta: Meta, runtime: Runtime) -> Answer | None:
    """``GET /api/v1/catalog`` from memory, under the rule of its route's gate."""
    tenant = meta.tenant
    cache: MenuCache | None = runtime.caches.get(TOPIC)
    if tenant is None or cache is None or "commerce" not in tenant.modules:
        return None
    query: bytes = scope["query_string"]
    # Only the plain spelling; anything else is for the route to parse.
    if query and (not query.startswith(b"store=") or b"&" in query):
        return None
    menu = cache.peek(tenant, query[6:])
    return menu.answer(meta.headers) if menu is not None else None


def _render(store: Record, parts: MenuParts, currency: str, moment: Moment) -> Menu:
    return Menu(menu_document(store, parts, currency, moment), moment.changes_at)
