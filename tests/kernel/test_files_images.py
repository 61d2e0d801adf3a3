"""Images: bombs, lies, stowaways and the place where a photo was taken do not get through."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image, ImageCms

from app.kernel.files.images import LONGEST_SIDE, MAX_PIXELS, Picture, remake
from app.kernel.files.problems import ImageAnimated, ImageTooLarge, ImageUnreadable
from app.kernel.files.rules import BY_EXTENSION
from tests.factories.images import image, opened

FILES = "/api/v1/admin/files"
PAGE = b"<html><script>alert(document.domain)</script></html>"
RED, WHITE = (200, 30, 60), (255, 255, 255)


def _remade(content: bytes, extension: str) -> Picture:
    return remake(BytesIO(content), BY_EXTENSION[extension])


def _like(pixel: object, color: tuple[int, ...]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) < 12 for a, b in zip(pixel[:3], color, strict=True))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_of(width: int, height: int, data: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(data))
        + _chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [6400, 12_000, 60_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    assert side * side > MAX_PIXELS
    row = b"\0" * (1 + side // 8)
    bomb = _png_of(side, side, row * min(side, 2000))
    assert len(bomb) < 100_000
    with pytest.raises(ImageTooLarge):
        _remade(bomb, "png")


def test_a_text_bomb_in_a_png_is_refused() -> None:
    packed = zlib.compress(b"x" * 200_000_000, 9)
    plain = image("PNG")
    bomb = plain[:33] + _chunk(b"zTXt", b"Comment\0\0" + packed) + plain[33:]
    with pytest.raises(ImageUnreadable):
        _remade(bomb, "png")


async def test_refusals_reach_the_sender(owner: httpx.AsyncClient) -> None:
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    moving = BytesIO()
    frames[0].save(moving, "WEBP", save_all=True, append_images=frames[1:])
    for content, name, status, code in (
        (_png_of(60_000, 60_000, b"\0" * 9000), "a.png", 413, "image-too-large"),
        (moving.getvalue(), "a.webp", 422, "image-animated"),
        (image("JPEG", (400, 300))[:-900], "a.jpg", 422, "image-unreadable"),
        (b"\xff\xd8\xff\xe0" + PAGE, "a.jpg", 422, "image-unreadable"),
    ):
        answer = await owner.post(FILES, files={"file": (name, content)})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await owner.get(FILES)).json()["items"] == []


def test_moving_pngs_are_refused_but_phones_double_pictures_are_not() -> None:
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    moving, double = BytesIO(), BytesIO()
    frames[0].save(moving, "PNG", save_all=True, append_images=frames[1:])
    frames[0].save(double, "MPO", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageAnimated):
        _remade(moving.getvalue(), "png")
    kept = opened(_remade(double.getvalue(), "jpg").content)
    assert (kept.format, _like(kept.getpixel((5, 5)), (255, 0, 0))) == ("JPEG", True)


@pytest.mark.parametrize(("kind", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")])
def test_stowaways_and_metadata_do_not_come_along(kind: str, extension: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera-Maker"
    exif[0x9286] = PAGE.decode()
    exif.get_ifd(0x8825).update({1: "S", 2: (23.0, 33.0, 1.5), 3: "W", 4: (46.0, 38.0, 2.5)})
    options: dict[str, Any] = {"comment": PAGE} if kind == "JPEG" else {}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sent = image(kind, exif=exif.tobytes(), icc_profile=profile, xmp=PAGE, **options)
    sent += PAGE
    assert opened(sent).getexif().get_ifd(0x8825)
    assert b"Camera-Maker" in sent
    made = _remade(sent, extension)
    for content in (made.content, *made.thumbnails.values()):
        assert b"script" not in content
        assert b"Camera-Maker" not in content
        found = opened(content)
        assert dict(found.getexif()) == {}
        assert not set(found.info) & {"exif", "xmp", "comment", "icc_profile", "XML:com.adobe.xmp"}
    assert _like(opened(made.content).getpixel((5, 5)), RED)


def test_a_photo_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90 degrees clockwise
    made = _remade(image("JPEG", (40, 30), exif=exif.tobytes()), "jpg")
    assert (made.width, made.height) == (30, 40)
    kept = opened(made.content)
    assert kept.size == (30, 40)
    assert _like(kept.getpixel((15, 5)), RED), "the left half became the upper one"
    assert _like(kept.getpixel((15, 35)), WHITE)


def test_large_images_shrink_and_thumbnails_follow() -> None:
    made = _remade(image("JPEG", (5000, 2500)), "jpg")
    assert (made.width, made.height) == (LONGEST_SIDE, LONGEST_SIDE // 2)
    sizes = {side: opened(content).size for side, content in made.thumbnails.items()}
    assert sizes == {160: (160, 80), 480: (480, 240), 1024: (1024, 512)}
    assert {opened(c).format for c in made.thumbnails.values()} == {"WEBP"}


def test_transparency_stays_and_a_photo_sent_as_png_becomes_webp() -> None:
    clear = BytesIO()
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(clear, "PNG")
    kept = opened(_remade(clear.getvalue(), "png").content)
    assert (kept.mode, kept.getpixel((3, 3))) == ("RGBA", (0, 0, 0, 0))
    noise = BytesIO()
    Image.effect_noise((2500, 2500), 90).convert("RGB").save(noise, "PNG")
    made = _remade(noise.getvalue(), "png")
    assert made.kind.extension == "webp"
    assert opened(made.content).format == "WEBP"
    assert len(made.content) <= made.kind.max_bytes


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "I;16"])
def test_every_mode_becomes_one_that_browsers_show(mode: str) -> None:
    kind, extension = ("JPEG", "jpg") if mode == "CMYK" else ("PNG", "png")
    out = BytesIO()
    Image.new(mode, (10, 10)).save(out, kind)
    made = _remade(out.getvalue(), extension)
    assert opened(made.content).mode in {"RGB", "RGBA"}
