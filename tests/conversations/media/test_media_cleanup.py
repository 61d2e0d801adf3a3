"""The clean-up: old, unsent and broken media go, what is referred to stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import update

from app.conversations.inbox.models import MessageMedia
from app.conversations.media.models import MessageUpload, UploadCopy
from app.core.clock import now
from app.kernel.files.models import StoredFile
from tests.conversations.media.test_outgoing_media import send, upload
from tests.conversations.media.vendor import PDF, VOICE, Vendor, photo
from tests.factories.commerce import key
from tests.sandbox.server import until

CLEANUPS = "/api/v1/media-cleanups"


async def run(vendor: Vendor, owner: httpx.AsyncClient, *, is_dry_run: bool) -> dict[str, Any]:
    answer = await owner.post(CLEANUPS, json={"is_dry_run": is_dry_run}, headers=key())
    assert answer.status_code == 202, answer.text

    async def ended() -> bool:
        return (await owner.get(CLEANUPS)).json()["items"][0]["ended_at"] is not None

    async with vendor.working():
        await until(ended, 20)
    newest = (await owner.get(CLEANUPS)).json()["items"][0]
    assert (newest["id"], newest["is_dry_run"]) == (answer.json()["id"], is_dry_run)
    found: dict[str, Any] = newest["report"]
    return found


async def test_only_what_nothing_refers_to_goes(vendor: Vendor, owner: httpx.AsyncClient) -> None:
    vendor.runtime = replace(
        vendor.runtime,
        settings=vendor.runtime.settings.model_copy(update={"conversation_media_days": 30}),
    )
    long_ago = now() - timedelta(days=40)
    kept = await vendor.brings("image", photo(), "image/jpeg")
    old = await vendor.brings("document", PDF, "application/pdf", at=long_ago)
    lost = await vendor.brings("audio", VOICE, "audio/ogg")
    async with vendor.working():
        for message_id in (kept, old, lost):
            assert (await vendor.settled(message_id)).state == "ready"
    used = await upload(owner, "document", "usado.pdf", PDF + b"1")
    await upload(owner, "document", "nunca.pdf", PDF + b"2")
    await send(vendor, owner, type="document", upload_id=used["id"])
    await sent_one(vendor)
    forgotten = await vendor.brings("audio", VOICE + b"1", "audio/ogg")
    async with vendor.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    await age(vendor, forgotten)
    voice = (await vendor.row(lost)).stored_file_id
    [key_] = [file.key for file in await vendor.files() if file.id == voice]
    await vendor.runtime.storage.remove(key_)

    counted = await run(vendor, owner, is_dry_run=True)
    rows = {"old": 1, "lost": 1, "unsent": 1, "forgotten": 1, "copies": 1}
    assert {name: counted[name] for name in rows} == rows
    assert (await vendor.row(old)).state == "ready", "a dry run changes nothing"
    assert (await vendor.row(forgotten)).state == "pending"
    done = await run(vendor, owner, is_dry_run=False)
    assert {name: done[name] for name in rows} == rows
    assert (await vendor.row(old)).reason == "retention"
    assert ((await vendor.row(lost)).state, (await vendor.row(lost)).reason) == ("invalid", "lost")
    assert (await vendor.row(kept)).state == "ready"
    assert (await vendor.fetched(forgotten)).state == "ready"

    async def swept() -> bool:
        return len(await vendor.files()) == 3

    async with vendor.working():
        await until(swept, 20)  # kept, used, forgotten
    for file in await vendor.files():
        assert await vendor.runtime.storage.size(file.key) == file.size_bytes
    assert (await owner.get(f"/api/v1/message-uploads/{used['id']}")).status_code == 200
    again = await run(vendor, owner, is_dry_run=False)
    assert set(again.values()) == {0}


async def sent_one(vendor: Vendor) -> None:
    async def done() -> bool:
        return "accepted" in {m.status for m in await vendor.chat.messages()}

    async with vendor.working():
        await until(done, 20)


async def age(vendor: Vendor, forgotten: Any) -> None:
    """Everything lies there for long already."""
    past = now() - timedelta(days=5)
    async with vendor.chat.world.work() as work:
        await work.session.execute(update(StoredFile).values(touched_at=past))
        await work.session.execute(update(MessageUpload).values(created_at=past))
        await work.session.execute(update(UploadCopy).values(expires_at=past))
        mine = update(MessageMedia).where(MessageMedia.message_id == forgotten)
        await work.session.execute(mine.values(tried_at=past))


async def test_who_may_not_manage_may_not_clean(
    vendor: Vendor, outsider: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    await run(vendor, owner, is_dry_run=True)
    assert (await outsider.get(CLEANUPS)).json()["items"] == []
