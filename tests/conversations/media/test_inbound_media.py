"""What a message brought: fetched once, checked, served to members, or refused with a reason."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from app.conversations.inbox.models import MessageMedia
from app.conversations.numbers.models import WhatsAppNumber
from app.core.clock import now
from app.kernel.tenants.service import ensure_tenant
from tests.conversations.inbound.line import drain, make_line
from tests.conversations.media.vendor import PDF, VOICE, Vendor, photo, served
from tests.factories.commerce import key
from tests.factories.tenants import World
from tests.kernel.queue_probe import effects

MEDIA = "/api/v1/messages/{}/media"


async def test_a_voice_note_comes_with_its_message_and_plays(
    vendor: Vendor, world: World, anonymous: httpx.AsyncClient, owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
) -> None:  # fmt: skip
    line = await make_line(world)
    media_id = await vendor.holds(VOICE, "audio/ogg; codecs=opus")
    digest = base64.b64encode(hashlib.sha256(VOICE).digest()).decode()
    said = {"id": media_id, "mime_type": "audio/ogg; codecs=opus", "sha256": digest, "voice": True}
    message = line.message("audio", at=int(now().timestamp()), audio=said)
    await line.deliver(anonymous, line.change(messages=[message, message]))
    await drain(world)
    stored = await line.stored(message["id"])
    before = (await owner.get(MEDIA.format(stored.id))).json()
    assert (before["state"], before["url"]) == ("pending", None)
    await vendor.fetched(stored.id)
    told = (await owner.get(MEDIA.format(stored.id))).json()
    assert (told["state"], told["media_type"], told["kind"]) == ("ready", "audio/ogg", "audio")
    answer = await served(anonymous, told["url"])
    assert answer.content == VOICE
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    part = await served(anonymous, told["url"], range="bytes=0-3")
    assert (part.status_code, part.content) == (206, b"OggS")
    bare = told["url"].partition("?")[0]
    assert (await served(anonymous, bare)).status_code == 404, "nobody has it without a link"
    assert (await outsider.get(MEDIA.format(stored.id))).status_code == 404
    [event] = await effects(world, "conversations.media_changed")
    assert (event["message_id"], event["state"]) == (str(stored.id), "ready")
    assert await vendor.downloads() == 1


async def test_an_image_is_made_anew_and_has_thumbnails(
    vendor: Vendor, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    message_id = await vendor.brings("image", photo(), "image/jpeg")
    assert (await vendor.fetched(message_id)).state == "ready"
    told = (await owner.get(MEDIA.format(message_id))).json()
    assert set(told["thumbnails"]) == {"160", "480", "1024"}
    small = await served(anonymous, told["thumbnails"]["160"])
    assert (small.status_code, small.headers["content-type"]) == (200, "image/webp")
    listed = (await owner.get(f"/api/v1/conversations/{vendor.chat.id}/media")).json()["items"]
    assert [row["message_id"] for row in listed] == [str(message_id)]


async def test_a_document_is_downloaded_by_its_own_name_and_never_shown(
    vendor: Vendor, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    page = b"<html><script>alert(1)</script></html>"
    odd = 'orçamento"\r\nX-Evil: 1.html'
    message_id = await vendor.brings("document", page, "text/html", original_name=odd)
    await vendor.fetched(message_id)
    told = (await owner.get(MEDIA.format(message_id))).json()
    answer = await served(anonymous, told["url"])
    assert answer.content == page
    assert answer.headers["content-type"] == "application/octet-stream"
    how = answer.headers["content-disposition"]
    assert how.startswith("attachment; filename=")
    assert "or%C3%A7amento%22" in how
    assert "x-evil" not in answer.headers
    forged = told["url"].replace("name=or", "name=ar")
    assert (await served(anonymous, forged)).status_code == 404, "the name is signed"


WRONG: list[tuple[str, bytes, str, dict[str, Any], dict[str, Any], tuple[str, str]]] = [
    ("image", b"MZ" + b"x" * 500, "image/jpeg", {}, {}, ("invalid", "wrong-type")),
    ("image", b"\xff\xd8\xff" + b"x" * 500, "image/jpeg", {}, {}, ("invalid", "unreadable")),
    ("document", VOICE, "application/pdf", {}, {}, ("invalid", "wrong-type")),
    ("audio", VOICE, "audio/ogg", {"sha256": "0" * 64}, {}, ("invalid", "hash-mismatch")),
    ("audio", VOICE, "audio/ogg", {}, {"media_wrong": 9}, ("invalid", "hash-mismatch")),
    ("sticker", b"RIFF0000WEBP" + bytes(600_000), "image/webp", {}, {}, ("too_large", "too-large")),
    ("audio", VOICE, "audio/ogg", {}, {"media_extra": 17 << 20}, ("too_large", "too-large")),
    ("audio", VOICE, "audio/ogg", {}, {"media_url_s": 0}, ("failed", "refused")),
    ("audio", VOICE, "audio/ogg", {}, {"media_host": "http://169.254.169.254"},
     ("failed", "foreign-host")),
    ("audio", VOICE, "audio/ogg", {"vendor_media_id": "404"}, {}, ("expired", "gone")),
    ("audio", VOICE, "audio/ogg", {"expires_at": now() - timedelta(seconds=1)}, {},
     ("expired", "gone")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "media_type", "fields", "play", "expected"), WRONG)
async def test_what_is_not_as_it_should_be_is_not_kept(
    vendor: Vendor, owner: httpx.AsyncClient, kind: str, content: bytes, media_type: str,
    fields: dict[str, Any], play: dict[str, Any], expected: tuple[str, str],
) -> None:  # fmt: skip
    message_id = await vendor.brings(kind, content, media_type, **fields)
    await vendor.sandbox.put("whatsapp", **play)
    found = await vendor.fetched(message_id)
    assert (found.state, found.reason) == expected
    assert found.stored_file_id is None
    assert await vendor.files() == []
    assert (await owner.get(MEDIA.format(message_id))).json()["detail"]


async def test_wrong_bytes_once_and_failing_servers_heal_by_themselves(vendor: Vendor) -> None:
    message_id = await vendor.brings("audio", VOICE, "audio/ogg")
    await vendor.sandbox.put("whatsapp", media_wrong=1, media_errors=1)
    found = await vendor.fetched(message_id)
    assert (found.state, found.attempts) == ("ready", 2)


async def test_somebody_tries_again_what_did_not_come(
    vendor: Vendor, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    message_id = await vendor.brings("audio", VOICE, "audio/ogg")
    await vendor.sandbox.put("whatsapp", media_wrong=9)
    assert (await vendor.fetched(message_id)).reason == "hash-mismatch"
    await vendor.sandbox.put("whatsapp", media_wrong=0)
    url = f"/api/v1/messages/{message_id}/media-retries"
    assert (await outsider.post(url, headers=key())).status_code == 404
    again = await owner.post(url, headers=key())
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert (await owner.post(url, headers=key())).json()["code"] == "message-media-not-retryable"
    assert (await vendor.fetched(message_id)).state == "ready"
    async with vendor.chat.world.work() as work:
        past = {"state": "failed", "expires_at": now()}
        await work.session.execute(update(MessageMedia).values(**past))
    assert (await owner.post(url, headers=key())).json()["code"] == "message-media-gone"


async def test_a_full_plan_says_what_to_do(vendor: Vendor, owner: httpx.AsyncClient) -> None:
    world = vendor.chat.world
    await ensure_tenant(world.runtime, world.tenant.slug, limits={"storage_bytes": 10})
    message_id = await vendor.brings("document", PDF, "application/pdf")
    found = await vendor.fetched(message_id)
    assert (found.state, found.reason) == ("failed", "storage-full")
    told = (await owner.get(MEDIA.format(message_id))).json()
    assert "armazenamento do plano está cheio" in told["detail"]
    assert await vendor.files() == []


async def test_a_number_that_is_off_asks_nothing(vendor: Vendor) -> None:
    async with vendor.chat.world.work() as work:
        await work.session.execute(update(WhatsAppNumber).values(is_active=False))
    message_id = await vendor.brings("audio", VOICE, "audio/ogg")
    assert (await vendor.fetched(message_id)).reason == "number-inactive"
    assert await vendor.downloads() == 0


async def test_the_same_file_twice_is_kept_once(vendor: Vendor) -> None:
    content = PDF + os.urandom(8)
    first = await vendor.brings("document", content, "application/pdf")
    second = await vendor.brings("document", content, "application/pdf")
    async with vendor.working():
        rows = [await vendor.settled(first), await vendor.settled(second)]
    assert {row.state for row in rows} == {"ready"}
    [file] = await vendor.files()
    assert {row.stored_file_id for row in rows} == {file.id}


async def test_among_the_files_it_is_found_by_those_who_may_read_chats(
    vendor: Vendor, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await vendor.fetched(await vendor.brings("document", PDF, "application/pdf"))
    [file] = await vendor.files()
    url = f"/api/v1/admin/files/{file.id}"
    scopes = ["platform.files:read", "platform.files:write"]
    body = {"name": "Arquivos", "scopes": scopes}
    made = await owner.post("/api/v1/admin/api-keys", json=body)
    assert made.status_code == 201, made.text
    strange = {"Authorization": f"Bearer {made.json()['key']}"}
    listed = await anonymous.get("/api/v1/admin/files", headers=strange)
    assert (listed.status_code, listed.json()["items"]) == (200, [])
    for answer in (
        await anonymous.get(url, headers=strange),
        await anonymous.delete(url, headers=strange),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "file-not-found")
    assert [f["id"] for f in (await owner.get("/api/v1/admin/files")).json()["items"]] == [
        str(file.id)
    ]
    assert (await owner.delete(url)).json()["code"] == "file-in-use"
    sent = await anonymous.post(
        "/api/v1/admin/files",
        params={"visibility": "private"},
        files={"file": ("meu.pdf", PDF, "application/pdf")},
        headers=strange,
    )
    assert sent.status_code == 201, sent.text
    assert sent.json()["id"] == str(file.id), "the same content is the same file"
    assert (await anonymous.get(url, headers=strange)).status_code == 200, "they have it anyway"
