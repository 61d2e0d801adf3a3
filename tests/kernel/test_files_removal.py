"""Quotas to the byte, removal of what nothing uses, and never of what something does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from app.core.clock import now
from app.core.model import TenantModel
from app.core.settings import Settings
from app.kernel.files import jobs
from app.kernel.files.models import StoredFile
from app.kernel.files.problems import FileBusy
from app.kernel.files.repository import references
from app.kernel.files.service import FileService, queue_cleaning
from app.kernel.jobs.service import Handler
from app.kernel.tenants.service import ensure_tenant
from app.kernel.usage.models import UsageCounter
from app.kernel.work import Runtime
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.images import image
from tests.factories.tenants import World
from tests.kernel.queue_probe import queue, system, working

FILES = "/api/v1/admin/files"
HANDLERS: dict[str, Handler] = {jobs.CLEAN: jobs.clean, jobs.ERASE: jobs.erase}


def _pdf(number: int, size: int = 1000) -> dict[str, tuple[str, bytes, str]]:
    content = b"%%PDF-1.7\n%08d" % number
    return {"file": ("a.pdf", content + b"\0" * (size - len(content)), "application/pdf")}


async def _made(owner: httpx.AsyncClient, number: int, **params: str) -> dict[str, Any]:
    answer = await owner.post(FILES, files=_pdf(number), params=params)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _image(owner: httpx.AsyncClient, red: int) -> dict[str, Any]:
    part = {"file": ("a.png", image(color=(red, 0, 0)), "image/png")}
    found: dict[str, Any] = (await owner.post(FILES, files=part)).json()
    return found


async def _used(world: World) -> int:
    async with world.work() as work:
        found = select(UsageCounter.used).where(UsageCounter.metric == "storage_bytes")
        return await work.session.scalar(found) or 0


async def _rows(world: World) -> dict[UUID, str]:
    async with world.work() as work:
        found = await work.session.execute(select(StoredFile.id, StoredFile.state))
        return {row.id: row.state for row in found}


def _on_disk(world: World) -> set[str]:
    root: Path = world.runtime.settings.media_root
    folders = [root / name / str(world.tenant.id) for name in ("t", "p")]
    return {str(p.relative_to(root)) for f in folders for p in f.glob("*") if p.is_file()}


async def _age(world: World, hours: float = 100, **where: Any) -> None:
    async with world.work() as work:
        statement = update(StoredFile).values(touched_at=now() - timedelta(hours=hours))
        await work.session.execute(statement.filter_by(**where))


async def _until(done: Callable[[], Any]) -> None:
    for _ in range(200):
        if await done():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("did not happen within 10 s")


async def _cleaned(world: World) -> None:
    """Run the clean-up of this tenant to its end, erasing included."""
    await queue(world, jobs.CLEAN, {})

    async def done() -> bool:
        left = await system(
            world.runtime,
            "SELECT FROM pgqueuer WHERE entrypoint = ANY ($1)"
            " AND convert_from(payload, 'UTF8') LIKE '%' || $2 || '%'",
            [jobs.CLEAN, jobs.ERASE],
            str(world.tenant.id),
        )
        return not left

    async with working(world.runtime, HANDLERS):
        await _until(done)


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def test_the_plans_bytes_are_exact_when_many_upload_at_once(
    owner: httpx.AsyncClient, world: World
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, limits={"storage_bytes": 5_500})
    answers = await asyncio.gather(*(owner.post(FILES, files=_pdf(n)) for n in range(12)))
    refused = [a for a in answers if a.status_code == 409]
    assert sorted(a.status_code for a in answers) == [201] * 5 + [409] * 7
    body = refused[0].json()
    assert (body["code"], body["limit"]) == ("limit-reached", "storage_bytes")
    assert (body["allowed"], body["used"]) == (5_500, 5_000)
    assert await _used(world) == 5_000
    assert len(await _rows(world)) == len(_on_disk(world)) == 5, "the refused left nothing"
    again = await asyncio.gather(*(owner.post(FILES, files=_pdf(n)) for n in range(12)))
    kept = [n for n, a in enumerate(answers) if a.status_code == 201]
    assert [n for n, a in enumerate(again) if a.status_code == 201] == kept, "counted once"
    assert await _used(world) == 5_000


async def test_thumbnails_count_and_removal_gives_back(
    owner: httpx.AsyncClient, world: World
) -> None:
    made = await _image(owner, 10)
    root = world.runtime.settings.media_root
    on_disk = sum((root / path).stat().st_size for path in _on_disk(world))
    assert await _used(world) == on_disk > made["size_bytes"]
    assert (await owner.delete(f"{FILES}/{made['id']}")).status_code == 204
    assert await _used(world) == 0
    assert (await owner.get(f"{FILES}/{made['id']}")).status_code == 404
    assert (await owner.delete(f"{FILES}/{made['id']}")).status_code == 404
    await _cleaned(world)
    assert (await _rows(world), _on_disk(world)) == ({}, set())
    assert (await owner.get(made["url"])).status_code == 404


async def test_a_file_in_use_is_not_deleted(owner: httpx.AsyncClient, shop: Shop) -> None:
    logo, cover = await _image(owner, 20), await _image(owner, 30)
    product = await shop.product("Pizza", 4990)
    path = f"/api/v1/admin/catalog/products/{product}"
    assert (await owner.patch(path, json={"image_file_ids": [cover["id"]]})).status_code == 200
    store = f"/api/v1/admin/stores/{shop.store_id}"
    assert (await owner.patch(store, json={"logo_file_id": logo["id"]})).status_code == 200
    for made, used_by in ((logo, ["stores"]), (cover, ["products"])):
        answer = await owner.delete(f"{FILES}/{made['id']}")
        assert (answer.status_code, answer.json()["code"]) == (409, "file-in-use")
        assert answer.json()["used_by"] == used_by
    await _age(shop.world)
    await _cleaned(shop.world)
    assert set((await _rows(shop.world)).values()) == {"stored"}
    assert len(_on_disk(shop.world)) == 8
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.delete(f"{FILES}/{cover['id']}")).status_code == 204, "product is gone"
    assert (await owner.delete(f"{FILES}/{logo['id']}")).status_code == 409


async def test_what_nobody_uses_is_removed_after_its_time(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, stranger: World, shop: Shop
) -> None:
    world = shop.world
    old, young = await _made(owner, 1, visibility="private"), await _made(owner, 2)
    used, back = await _image(owner, 40), await _made(owner, 3)
    theirs = await _made(outsider, 1)
    await shop.product("Pizza", 4990, image_file_ids=[used["id"], "no id at all"])
    for made in (old, used, back):
        await _age(world, id=UUID(made["id"]))
    await _age(stranger)
    await _made(owner, 3)  # sent again: its time begins anew
    part = world.runtime.settings.media_root / "t" / str(world.tenant.id) / ".killed.part"
    part.write_bytes(b"half")
    os.utime(part, (part.stat().st_mtime - 400_000,) * 2)
    await _cleaned(world)
    assert {str(i) for i in await _rows(world)} == {young["id"], used["id"], back["id"]}
    assert not part.exists()
    assert old["key"] not in _on_disk(world)
    assert {young["key"], used["key"], back["key"]} <= _on_disk(world)
    root = world.runtime.settings.media_root
    assert await _used(world) == sum((root / p).stat().st_size for p in _on_disk(world))
    assert theirs["key"] in _on_disk(stranger), "each tenant's clean-up is its own"


async def test_a_reference_and_a_removal_at_once_never_both_win(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    won = {"held": 0, "removed": 0}
    for round_number in range(12):
        made = await _image(owner, 50 + round_number)
        body = {"name": f"P{round_number}", "price_cents": 100, "image_file_ids": [made["id"]],
                "category_id": str(shop.category_id)}  # fmt: skip

        async def delete(path: str, wait_s: float) -> httpx.Response:
            await asyncio.sleep(wait_s)
            return await owner.delete(path)

        created, deleted = await asyncio.gather(
            owner.post("/api/v1/admin/catalog/products", json=body, headers=key()),
            delete(f"{FILES}/{made['id']}", round_number * 0.002),
        )
        outcome = (created.status_code == 201, deleted.status_code == 204)
        assert outcome in {(True, False), (False, True)}, (created.text, deleted.text)
        won["held" if outcome[0] else "removed"] += 1
    print(won)
    assert all(won.values()), "the race must be one"


async def test_the_reference_is_seen_under_the_lock(owner: httpx.AsyncClient, shop: Shop) -> None:
    """A product is being saved with the image when the clean-up comes: it waits or passes by."""
    made = await _image(owner, 90)
    await _age(shop.world)
    async with shop.world.work() as saving:
        assert await FileService(saving).held([UUID(made["id"])]) == {UUID(made["id"])}
        async with shop.world.work() as cleaning:
            assert await FileService(cleaning).collect(now(), 10) == (0, 0)
        await saving.session.flush()
    assert set((await _rows(shop.world)).values()) == {"stored"}
    async with shop.world.work() as cleaning:
        assert (await FileService(cleaning).collect(now(), 10))[0] == 1
    async with shop.world.work() as work:
        assert await FileService(work).held([UUID(made["id"])]) == frozenset()


async def test_a_private_file_is_no_image_of_a_product(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    part = {"file": ("a.png", image(), "image/png")}
    made = (await owner.post(FILES, files=part, params={"visibility": "private"})).json()
    body = {"image_file_ids": [made["id"]]}
    product = await shop.product("Pizza", 4990)
    answer = await owner.patch(f"/api/v1/admin/catalog/products/{product}", json=body)
    assert answer.status_code in {404, 422}, answer.text


async def test_content_that_is_being_erased_waits_its_turn(
    owner: httpx.AsyncClient, world: World
) -> None:
    made = await _made(owner, 1)
    assert (await owner.delete(f"{FILES}/{made['id']}")).status_code == 204
    early = await owner.post(FILES, files=_pdf(1))
    assert (early.status_code, early.json()["code"]) == (409, FileBusy.code)
    assert await _used(world) == 0
    await _cleaned(world)
    again = await _made(owner, 1)
    assert again["id"] != made["id"]
    assert (await owner.get(again["url"])).status_code == 200


async def test_erasing_that_was_cut_off_is_taken_up_again(
    owner: httpx.AsyncClient, world: World
) -> None:
    made = await _image(owner, 99)
    await owner.delete(f"{FILES}/{made['id']}")
    await system(
        world.runtime,
        "DELETE FROM pgqueuer WHERE entrypoint = $1"
        " AND convert_from(payload, 'UTF8') LIKE '%' || $2 || '%'",
        jobs.ERASE,
        made["id"],
    )
    await _age(world, hours=1)
    await _cleaned(world)
    assert (await _rows(world), _on_disk(world), await _used(world)) == ({}, set(), 0)


async def test_the_beat_queues_the_clean_up_once_in_a_while(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, config: Settings
) -> None:
    await _made(owner, 1)
    await _age(world)
    count = (
        "SELECT FROM pgqueuer WHERE entrypoint = $1"
        " AND convert_from(payload, 'UTF8') LIKE '%' || $2 || '%'"
    )
    runtime.caches.pop("files.cleaning", None)
    for _ in range(3):
        await queue_cleaning(runtime)
    assert len(await system(runtime, count, jobs.CLEAN, str(world.tenant.id))) == 1
    async with working(runtime, HANDLERS):

        async def gone() -> bool:
            return not await _rows(world)

        await _until(gone)
    await queue_cleaning(runtime)
    assert await system(runtime, count, jobs.CLEAN, str(world.tenant.id)) == []
    assert _on_disk(world) == set()


def test_every_column_that_names_files_is_known() -> None:
    """A column that says file and is not found as a reference would be cleaned away under it."""
    no_reference = {("import_failures", "file")}  # which of the uploaded tables
    known = {(r.table, r.column) for r in references()}
    assert {
        ("products", "image_file_ids"),
        ("stores", "banner_file_id"),
        ("stores", "logo_file_id"),
    } <= known
    for mapper in TenantModel.registry.mappers:
        for column in mapper.local_table.columns:
            name = (str(mapper.local_table), column.name)
            says_file = any(w in {"file", "files"} for w in column.name.split("_"))
            points = any(k.column.table.name == "files" for k in column.foreign_keys)
            if says_file or (points and column.name != "tenant_id"):
                assert name in known | no_reference, f"{name}: call it *_file_id or *_file_ids"
                assert issubclass(mapper.class_, TenantModel), name
