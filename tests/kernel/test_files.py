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
from tests.factories.images import image, opened
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

FILES = "/api/v1/admin/files"
JPEG, PNG, WEBP = image("JPEG"), image("PNG"), image("WEBP")
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + b"\x04" * 300
WEBM = (
    b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm"
    + b"\x05" * 90
)
PDF = b"%PDF-1.7\n" + b"\x06" * 300
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
GIF = image("GIF")
HTML_IN_GIF = b"GIF89a/*" + b"\0" * 20 + b"*/=1;<html><script>alert(1)</script>"


def _part(content: bytes, name: str, declared: str) -> dict[str, tuple[str, bytes, str]]:
    return {"file": (name, content, declared)}


async def _rows(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(StoredFile)) or 0


def _on_disk(world: World) -> list[str]:
    folder = world.runtime.settings.media_root / "t" / str(world.tenant.id)
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("content", "name", "declared", "extension", "media_type"),
    [
        (MP4, "forno.mp4", "video/mp4", "mp4", "video/mp4"),
        (WEBM, "forno.webm", "video/webm", "webm", "video/webm"),
        (PDF, "cardápio.pdf", "application/pdf", "pdf", "application/pdf"),
    ],
)
async def test_videos_and_documents_are_kept_as_they_are(
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
    assert (made["url"], made["thumbnails"]) == (f"/media/{made['key']}", {})
    assert (made["original_name"], made["width"]) == (name, None)
    assert (made["media_type"], made["size_bytes"]) == (media_type, len(content))
    served = await anonymous.get(made["url"])
    assert (served.status_code, served.content) == (200, content)
    await _strictly_served(anonymous, made["url"], media_type)


@pytest.mark.parametrize(
    ("content", "name", "declared", "extension"),
    [
        (JPEG, "Pizza da casa.JPG", "image/jpeg", "jpg"),
        (PNG, "logo.png", "image/png", "png"),
        (WEBP, "foto.webp", "application/octet-stream", "webp"),
    ],
)
async def test_images_are_made_anew(
    owner: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    world: World,
    content: bytes,
    name: str,
    declared: str,
    extension: str,
) -> None:
    answer = await owner.post(FILES, files=_part(content, name, declared))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    served = await anonymous.get(made["url"])
    assert served.status_code == 200
    digest = hashlib.sha256(served.content).hexdigest()
    assert made["key"] == f"t/{world.tenant.id}/{digest}.{extension}"
    assert made["size_bytes"] == len(served.content)
    assert (made["width"], made["height"]) == opened(served.content).size == (40, 30)
    assert sorted(made["thumbnails"], key=int) == ["160", "480", "1024"]
    for url in made["thumbnails"].values():
        small = await anonymous.get(url)
        assert small.headers["content-type"] == "image/webp"
        assert opened(small.content).size == (40, 30), "none is larger than the image"
    await _strictly_served(anonymous, made["url"], made["media_type"])


async def _strictly_served(anonymous: httpx.AsyncClient, url: str, media_type: str) -> None:
    served = await anonymous.get(url)
    content = served.content
    assert served.headers["content-type"] == media_type
    assert served.headers["content-length"] == str(len(content))
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
    assert "immutable" in served.headers["cache-control"]
    disposition = served.headers.get("content-disposition", "")
    assert disposition.startswith("attachment") == url.endswith(".pdf")

    known = await anonymous.get(url, headers={"If-None-Match": served.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    size = len(content)
    for asked, status, part, said in (
        ("bytes=2-5", 206, content[2:6], f"bytes 2-5/{size}"),
        ("bytes=-3", 206, content[-3:], f"bytes {size - 3}-{size - 1}/{size}"),
        (f"bytes=4-{size * 9}", 206, content[4:], f"bytes 4-{size - 1}/{size}"),
        ("bytes=0-0,2-3", 200, content, None),
        ("bytes=5-2", 200, content, None),
        ("lines=1-2", 200, content, None),
    ):
        answer = await anonymous.get(url, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (status, part), asked
        assert answer.headers.get("content-range") == said
    beyond = await anonymous.get(url, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range-outside")
    assert beyond.headers["content-range"] == f"bytes */{size}"
    changed = await anonymous.get(url, headers={"Range": "bytes=2-5", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, content)


async def test_same_content_is_the_same_file(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    answers = await asyncio.gather(
        *(owner.post(FILES, files=_part(JPEG, f"n{i}.jpg", "image/jpeg")) for i in range(8))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert await _rows(world) == 1
    assert len(_on_disk(world)) == 4, "the image and three thumbnails"
    other = await outsider.post(FILES, files=_part(JPEG, "a.jpg", "image/jpeg"))
    assert other.json()["key"] != answers[0].json()["key"], "tenants share nothing"


@pytest.mark.parametrize(
    ("content", "name", "declared", "status", "code"),
    [
        (SVG, "logo.svg", "image/svg+xml", 415, "unsupported-file"),
        (SVG, "logo.png", "image/png", 415, "unsupported-file"),
        (GIF, "a.gif", "image/gif", 415, "unsupported-file"),
        (HTML_IN_GIF, "a.gif", "image/gif", 415, "unsupported-file"),
        (HTML_IN_GIF, "a.png", "image/png", 415, "unsupported-file"),
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
    assert made.status_code == 201
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
    "name", ["../../etc/cron.pdf", "a\0b.pdf", "x" * 400 + ".pdf", "C:\\a.pdf"]
)
async def test_hostile_names_name_nothing(
    owner: httpx.AsyncClient, world: World, name: str
) -> None:
    answer = await owner.post(FILES, files=_part(PDF, name, "application/pdf"))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["key"] == f"t/{world.tenant.id}/{hashlib.sha256(PDF).hexdigest()}.pdf"
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
        key.replace(".jpg", "-99.webp"),
        key.replace(".jpg", "-160.jpg"),
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
    made = await manager.post(FILES, files=part)
    assert made.status_code == 201
    assert await _rows(world) == 1
    assert await _rows(stranger) == 0, "another tenant sees none of its rows"
    path = f"{FILES}/{made.json()['id']}"
    assert (await manager.get(path)).json() == made.json()
    assert (await agent.delete(path)).json()["code"] == "action-not-allowed"
    assert (await agent.get(path)).json()["code"] == "action-not-allowed"
    assert (await agent.get(FILES)).json()["code"] == "action-not-allowed"
    for answer in (await outsider.get(path), await outsider.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (404, "file-not-found")
    assert [item["id"] for item in (await manager.get(FILES)).json()["items"]] == [
        made.json()["id"]
    ]
    assert (await outsider.get(FILES)).json()["items"] == []
    assert await _rows(world) == 1
