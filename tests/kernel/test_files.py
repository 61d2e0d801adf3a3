"""Files: what is taken in, what is refused, how it is served, and that nothing else is."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from app.kernel.files.models import StoredFile
from app.kernel.files.storage import LocalStorage
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

FILES = "/api/v1/admin/files"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x01" * 300
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x02" * 300
WEBP = b"RIFF\x24\x01\x00\x00WEBPVP8 " + b"\x03" * 300
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + b"\x04" * 300
WEBM = (
    b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm"
    + b"\x05" * 90
)
PDF = b"%PDF-1.7\n" + b"\x06" * 300
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
GIF = b"GIF89a" + b"\x07" * 300


def _part(content: bytes, name: str, declared: str) -> dict[str, tuple[str, bytes, str]]:
    return {"file": (name, content, declared)}


async def _rows(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(StoredFile)) or 0


def _on_disk(world: World) -> list[str]:
    folder = world.runtime.settings.media_root / "t" / str(world.tenant.id)
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def _below(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    ("content", "name", "declared", "extension", "media_type"),
    [
        (JPEG, "Pizza da casa.JPG", "image/jpeg", "jpg", "image/jpeg"),
        (PNG, "logo.png", "image/png", "png", "image/png"),
        (WEBP, "foto.webp", "application/octet-stream", "webp", "image/webp"),
        (MP4, "forno.mp4", "video/mp4", "mp4", "video/mp4"),
        (WEBM, "forno.webm", "video/webm", "webm", "video/webm"),
        (PDF, "cardápio.pdf", "application/pdf", "pdf", "application/pdf"),
    ],
)
async def test_upload_and_serve(
    owner: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    world: World,
    content: bytes,
    name: str,
    declared: str,
    extension: str,
    media_type: str,
) -> None:
    answer = await owner.post(FILES, files=_part(content, name, declared))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    digest = hashlib.sha256(content).hexdigest()
    assert made["key"] == f"t/{world.tenant.id}/{digest}.{extension}"
    assert made["url"] == f"/media/{made['key']}"
    assert made["original_name"] == name
    assert (made["media_type"], made["size_bytes"]) == (media_type, len(content))

    served = await anonymous.get(made["url"])
    assert served.status_code == 200
    assert served.content == content
    assert served.headers["content-type"] == media_type
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
    assert "immutable" in served.headers["cache-control"]
    disposition = served.headers.get("content-disposition", "")
    assert disposition.startswith("attachment") == (extension == "pdf")

    part = await anonymous.get(made["url"], headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, content[2:6])
    known = await anonymous.get(made["url"], headers={"If-None-Match": served.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


async def test_same_content_is_the_same_file(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    answers = await asyncio.gather(
        *(owner.post(FILES, files=_part(JPEG, f"n{i}.jpg", "image/jpeg")) for i in range(8))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert await _rows(world) == 1
    assert _on_disk(world) == [f"{hashlib.sha256(JPEG).hexdigest()}.jpg"]
    other = await outsider.post(FILES, files=_part(JPEG, "a.jpg", "image/jpeg"))
    assert other.json()["key"] != answers[0].json()["key"], "tenants share nothing"


@pytest.mark.parametrize(
    ("content", "name", "declared", "status", "code"),
    [
        (SVG, "logo.svg", "image/svg+xml", 415, "unsupported-file"),
        (SVG, "logo.png", "image/png", 415, "unsupported-file"),
        (GIF, "a.gif", "image/gif", 415, "unsupported-file"),
        (b"<html><script>1</script>", "a.html", "text/html", 415, "unsupported-file"),
        (b"", "a.png", "image/png", 415, "unsupported-file"),
        (b"\x89PNG", "a.png", "image/png", 415, "unsupported-file"),
        (JPEG, "a.png", "image/jpeg", 422, "file-type-mismatch"),
        (JPEG, "a.jpg", "image/png", 422, "file-type-mismatch"),
        (JPEG, "a.html", "image/jpeg", 422, "file-type-mismatch"),
        (JPEG, "a", "image/jpeg", 422, "file-type-mismatch"),
        (MP4, "a.jpg", "image/jpeg", 422, "file-type-mismatch"),
        (JPEG + b"\0" * 5_000_000, "a.jpg", "image/jpeg", 413, "file-too-large"),
        (PDF + b"\0" * 20_000_000, "a.pdf", "application/pdf", 413, "file-too-large"),
    ],
)
async def test_refusals_leave_nothing(
    owner: httpx.AsyncClient,
    world: World,
    content: bytes,
    name: str,
    declared: str,
    status: int,
    code: str,
) -> None:
    answer = await owner.post(FILES, files=_part(content, name, declared))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await _rows(world) == 0
    assert _on_disk(world) == []


@pytest.mark.parametrize(
    ("start", "most", "name", "declared"),
    [
        (JPEG, 5_000_000, "a.jpg", "image/jpeg"),
        (MP4, 20_000_000, "a.mp4", "video/mp4"),
        (PDF, 20_000_000, "a.pdf", "application/pdf"),
    ],
)
async def test_limits_are_exact_to_the_byte(
    owner: httpx.AsyncClient, world: World, start: bytes, most: int, name: str, declared: str
) -> None:
    exact = start + b"\0" * (most - len(start))
    made = await owner.post(FILES, files=_part(exact, name, declared))
    assert (made.status_code, made.json()["size_bytes"]) == (201, most)
    over = await owner.post(FILES, files=_part(exact + b"\0", name, declared))
    assert over.status_code == 413
    assert await _rows(world) == 1


async def test_chunked_body_without_length_is_cut_off(
    owner: httpx.AsyncClient, world: World
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield (
            b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
            b"Content-Type: application/pdf\r\n\r\n%PDF-"
        )
        while sent < 60_000_000:
            sent += 1_000_000
            yield b"\0" * 1_000_000

    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    answer = await owner.post(FILES, content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "file-too-large")
    assert await _rows(world) == 0


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="other"; filename="a.jpg"\r\n\r\n'
            + JPEG
            + b"\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
        # Cut off in the middle of the part.
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + JPEG,
            "multipart/form-data; boundary=x",
        ),
    ],
)
async def test_bodies_that_are_no_upload(
    owner: httpx.AsyncClient, world: World, content: bytes, kind: str
) -> None:
    answer = await owner.post(FILES, content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (400, "no-file-sent")
    assert await _rows(world) == 0


@pytest.mark.parametrize(
    "name", ["../../etc/cron.jpg", "a\0b.jpg", "x" * 400 + ".jpg", "C:\\a.jpg"]
)
async def test_hostile_names_name_nothing(
    owner: httpx.AsyncClient, world: World, name: str
) -> None:
    answer = await owner.post(FILES, files=_part(JPEG, name, "image/jpeg"))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["key"] == f"t/{world.tenant.id}/{hashlib.sha256(JPEG).hexdigest()}.jpg"
    shown = made["original_name"]
    assert len(shown) <= 200
    assert shown.isprintable()
    assert not set(shown) & {"/", "\\"}


async def test_media_serves_nothing_else(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World, tmp_path: Path
) -> None:
    made = (await owner.post(FILES, files=_part(JPEG, "a.jpg", "image/jpeg"))).json()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    root = world.runtime.settings.media_root
    linked = f"t/{world.tenant.id}/{'a' * 64}.jpg"
    os.symlink(secret, root / linked)
    folder = f"t/{world.tenant.id}/{'b' * 64}.jpg"
    (root / folder).mkdir()
    key = made["key"]
    for path in (
        linked,
        folder,
        f"t/{world.tenant.id}/{'c' * 64}.jpg",
        f"{key}%00",
        f"{key}%00.png",
        f"{key}/",
        key.replace(".jpg", ".html"),
        key.upper(),
        f"%2e%2e/{root.name}/{key}",
        f"t/%2e%2e/{key}",
        f"t/..%2f{key}",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "",
    ):
        answer = await anonymous.get(f"/media/{path}")
        assert (answer.status_code, answer.json()["code"]) in {
            (404, "file-not-found"),
            (404, "not-found"),
        }, path
    assert (await anonymous.get(made["url"])).status_code == 200


async def test_grants_and_strangers(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    world: World,
    stranger: World,
    client_of: ClientOf,
) -> None:
    part = _part(JPEG, "a.jpg", "image/jpeg")
    agent = await client_of(world, await world.member("agent"))
    assert (await agent.post(FILES, files=part)).json()["code"] == "action-not-allowed"
    assert (await shopper.post(FILES, files=part)).status_code == 401
    assert await _rows(world) == 0
    manager = await client_of(world, await world.member("manager"))
    assert (await manager.post(FILES, files=part)).status_code == 201
    assert await _rows(world) == 1
    assert await _rows(stranger) == 0, "another tenant sees none of its rows"


async def test_storage_writes_whole_or_not_at_all(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    async def whole() -> AsyncIterator[bytes]:
        yield b"whole"

    with pytest.raises(ConnectionError):
        await storage.put("t/x/file.jpg", broken())
    assert _below(tmp_path) == []
    await storage.put("t/x/file.jpg", whole())
    await storage.put("t/x/file.jpg", broken())
    assert (tmp_path / "t/x/file.jpg").read_bytes() == b"whole"
    assert _below(tmp_path) == ["file.jpg"]
    await storage.remove("t/x/file.jpg")
    assert await storage.locate("t/x/file.jpg") is None
    await storage.remove("t/x/file.jpg")
