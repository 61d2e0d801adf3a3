"""Media to send: taken in once, copied to the vendor when needed, samples for templates."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import update

from app.conversations.media.models import UploadCopy
from app.conversations.numbers.models import WhatsAppNumber
from app.core.clock import now
from tests.conversations.media.vendor import PDF, VOICE, Vendor, photo
from tests.factories.commerce import key
from tests.factories.tenants import World
from tests.sandbox.server import until

UPLOADS = "/api/v1/message-uploads"


async def upload(
    client: httpx.AsyncClient, kind: str, name: str, content: bytes, status: int = 201
) -> dict[str, Any]:
    files = {"file": (name, content, "application/octet-stream")}
    answer = await client.post(f"{UPLOADS}?kind={kind}", files=files)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def send(vendor: Vendor, owner: httpx.AsyncClient, **body: Any) -> None:
    url = f"/api/v1/conversations/{vendor.chat.id}/messages"
    answer = await owner.post(url, json=body, headers=key())
    assert answer.status_code == 202, answer.text


async def sent(vendor: Vendor) -> list[str]:
    async def done() -> bool:
        return all(m.status in ("accepted", "failed") for m in await vendor.chat.messages())

    async with vendor.working():
        await until(done, 20)
    return [m.status for m in await vendor.chat.messages()]


async def asked(vendor: Vendor, edge: str) -> list[dict[str, Any]]:
    found = await vendor.sandbox.requests(vendor="whatsapp", limit="500")
    return [r for r in reversed(found) if r["path"].endswith(edge)]


async def test_an_upload_goes_to_the_vendor_once_and_out_in_every_message(
    vendor: Vendor, owner: httpx.AsyncClient
) -> None:
    menu = await upload(owner, "document", "cardápio de verão.pdf", PDF)
    note = await upload(owner, "audio", "recado.ogg", VOICE)
    picture = await upload(owner, "image", "pizza.jpg", photo())
    assert (menu["media_type"], note["media_type"]) == ("application/pdf", "audio/ogg")
    await send(vendor, owner, type="document", upload_id=menu["id"], caption="Cardápio")
    await send(vendor, owner, type="document", upload_id=menu["id"])
    await send(vendor, owner, type="audio", upload_id=note["id"])
    await send(vendor, owner, type="image", upload_id=picture["id"])
    assert await sent(vendor) == ["accepted"] * 4
    uploads, messages = await asked(vendor, "/media"), await asked(vendor, "/messages")
    assert [u["body"]["file"] for u in uploads] == [
        "cardápio de verão.pdf", "recado.ogg", "pizza.jpg",
    ]  # fmt: skip
    ids = [u["answer"]["id"] for u in uploads]
    assert [m["body"][m["body"]["type"]] for m in messages] == [
        {"id": ids[0], "caption": "Cardápio", "filename": "cardápio de verão.pdf"},
        {"id": ids[0], "filename": "cardápio de verão.pdf"},
        {"id": ids[1]},
        {"id": ids[2]},
    ]
    message = (await vendor.chat.messages())[0]
    told = (await owner.get(f"/api/v1/messages/{message.id}/media")).json()
    assert (told["state"], told["original_name"]) == ("ready", "cardápio de verão.pdf")


async def test_a_copy_that_ended_is_made_anew(vendor: Vendor, owner: httpx.AsyncClient) -> None:
    menu = await upload(owner, "document", "menu.pdf", PDF)
    await send(vendor, owner, type="document", upload_id=menu["id"])
    await sent(vendor)
    async with vendor.chat.world.work() as work:
        await work.session.execute(update(UploadCopy).values(expires_at=now()))
    await send(vendor, owner, type="document", upload_id=menu["id"])
    await sent(vendor)
    first, second = (u["answer"]["id"] for u in await asked(vendor, "/media"))
    assert [m["body"]["document"]["id"] for m in await asked(vendor, "/messages")] == [
        first, second,
    ]  # fmt: skip


async def test_a_vendor_that_fails_at_the_upload_is_asked_again_and_nothing_is_lost(
    vendor: Vendor, owner: httpx.AsyncClient
) -> None:
    note = await upload(owner, "audio", "recado.ogg", VOICE)
    await send(vendor, owner, type="audio", upload_id=note["id"])
    await vendor.sandbox.put("whatsapp/knobs", error={"code": "http-502", "times": 1})
    assert await sent(vendor) == ["accepted"]
    assert len(await asked(vendor, "/messages")) == 1
    await send(vendor, owner, type="audio", upload_id=note["id"])
    async with vendor.chat.world.work() as work:
        await work.session.execute(update(UploadCopy).values(expires_at=now()))
    await vendor.sandbox.put("whatsapp/knobs", error={"code": "131005", "times": 1})
    assert await sent(vendor) == ["accepted", "failed"]
    assert (await vendor.chat.messages())[1].error_code == "131005"
    assert len(await vendor.chat.attempts()) == 1, "none was begun for the second"


def sticker() -> bytes:
    out = BytesIO()
    frames = [Image.new("RGBA", (512, 512), (n * 90, 10, 10, 255)) for n in range(3)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


async def test_a_sticker_may_move(vendor: Vendor, owner: httpx.AsyncClient) -> None:
    found = await upload(owner, "sticker", "oi.webp", sticker())
    assert (found["media_type"], found["size_bytes"]) == ("image/webp", len(sticker()))


@pytest.mark.parametrize(
    ("kind", "name", "content", "status", "code"),
    [
        ("image", "a.jpg", PDF, 415, "message-upload-unsupported"),
        ("image", "a.webp", sticker(), 415, "message-upload-unsupported"),
        ("image", "a.jpg", b"\xff\xd8\xff" + b"x" * 90, 422, "image-unreadable"),
        ("audio", "a.ogg", b"OggS" + bytes(99), 415, "message-upload-unsupported"),
        ("document", "a.exe", b"MZ" + bytes(99), 415, "message-upload-unsupported"),
        ("document", "a.docx", PDF, 415, "message-upload-unsupported"),
        ("document", "a.txt", b"\0" * 9, 415, "message-upload-unsupported"),
        ("sticker", "a.webp", b"RIFF0000WEBP" + bytes(600_000), 413, "message-upload-too-large"),
    ],
)
async def test_what_the_vendor_would_refuse_is_refused_here(
    vendor: Vendor, owner: httpx.AsyncClient, kind: str, name: str, content: bytes, status: int,
    code: str,
) -> None:  # fmt: skip
    assert (await upload(owner, kind, name, content, status))["code"] == code
    assert await vendor.files() == []


async def test_an_upload_is_its_tenants_and_of_its_kind(
    vendor: Vendor, owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    menu = await upload(owner, "document", "menu.pdf", PDF)
    theirs = await upload(outsider, "document", "menu.pdf", PDF)
    url = f"/api/v1/conversations/{vendor.chat.id}/messages"
    body = {"type": "document", "upload_id": theirs["id"]}
    assert (await owner.post(url, json=body, headers=key())).status_code == 404
    assert (await outsider.get(f"{UPLOADS}/{menu['id']}")).status_code == 404
    body = {"type": "image", "upload_id": menu["id"]}
    answer = await owner.post(url, json=body, headers=key())
    assert (answer.status_code, answer.json()["expected"]) == (422, "document")
    both = {"type": "document", "upload_id": menu["id"], "media_id": "1"}
    assert (await owner.post(url, json=both, headers=key())).status_code == 422
    assert await vendor.chat.messages() == []
    gone = await owner.delete(f"/api/v1/admin/files/{(await vendor.files())[0].id}")
    assert (gone.status_code, gone.json()["used_by"]) == (409, ["message_uploads"])


async def test_a_sample_goes_up_in_parts_and_makes_a_template(
    vendor: Vendor, owner: httpx.AsyncClient
) -> None:
    async with vendor.chat.world.work() as work:
        here = {"base_url": f"{vendor.sandbox.url}/graph"}
        await work.session.execute(update(WhatsAppNumber).values(**here))
    picture = await upload(owner, "image", "pizza.jpg", photo())
    await vendor.sandbox.put("whatsapp", upload_cuts=1)
    url = f"{UPLOADS}/{picture['id']}/template-handles"
    body = {"number_id": str(vendor.chat.number_id)}
    answer = await owner.post(url, json=body, headers=key())
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["format"], made["handle"][:3]) == ("IMAGE", "4::")
    note = await upload(owner, "audio", "recado.ogg", VOICE)
    answer = await owner.post(f"{UPLOADS}/{note['id']}/template-handles", json=body, headers=key())
    assert answer.json()["code"] == "message-upload-no-header"
