"""Images made anew: decoded under limits, turned upright, stripped of metadata, encoded again.

What is served was written by us, so nothing that rode along in the sender's bytes (a page, a
script, the place where the photo was taken) reaches anybody. Blocking: call it in a thread.
A moving WebP or PNG is refused rather than cut to its first picture; GIF is not taken at all, as
a video says the same in a tenth of the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from app.core.lazy import lazy
from app.core.problems import Problem
from app.kernel.files.problems import FileTooLarge, ImageAnimated, ImageTooLarge, ImageUnreadable
from app.kernel.files.rules import BY_EXTENSION, THUMBNAIL_SIDES, Kind

if TYPE_CHECKING:
    from PIL import Image, ImageCms, ImageOps
else:
    Image, ImageCms, ImageOps = lazy("PIL.Image"), lazy("PIL.ImageCms"), lazy("PIL.ImageOps")

MAX_PIXELS = 40_000_000
LONGEST_SIDE = 2560
"""Pixels; what is larger is scaled down, as no screen of a customer shows more."""
_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it is kept."""

    kind: Kind
    content: bytes
    width: int
    height: int
    thumbnails: dict[int, bytes]
    """WebP, by longest side."""


def remake(source: BinaryIO, kind: Kind) -> Picture:
    """The image that ``source`` holds, made anew. Raises ImageUnreadable, ImageAnimated,
    ImageTooLarge, FileTooLarge.
    """
    try:
        source.seek(0)
        # The decoder of the type found, and no other: Pillow knows forty.
        with Image.open(source, formats=[_FORMATS[kind.extension]]) as image:
            _admit(image)
            upright = _upright(image, kind)
        return _encoded(upright, kind)
    except Problem:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(max_pixels=MAX_PIXELS) from error
    except Exception as error:
        # A decoder raises whatever a hostile file makes it stumble over.
        raise ImageUnreadable() from error


def _admit(image: Image.Image) -> None:
    """Decide by the header alone, before any pixel takes memory."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(width=width, height=height, max_pixels=MAX_PIXELS)
    # Phones write JPEGs of several pictures (MPO): there the first is the photo.
    if image.format in {"PNG", "WEBP"} and getattr(image, "is_animated", False):
        raise ImageAnimated()


def _upright(image: Image.Image, kind: Kind) -> Image.Image:
    profile = image.info.get("icc_profile")
    # Before all else: of a JPEG no more is decoded than is kept, and no large image is copied.
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):  # 16 bits of grey
        turned = turned.point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if turned.has_transparency_data and kind.extension != "jpg" else "RGB"
    if profile and turned.mode in {"RGB", "RGBA", "CMYK"}:
        turned = _in_srgb(turned, profile)
    turned = turned.convert(mode)
    turned.info = {}  # Pillow writes comments and profiles found here into the new file
    return turned


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Colours as every screen takes them, because the profile goes with the metadata."""
    mode = "RGB" if image.mode == "CMYK" else image.mode
    try:
        turned = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode=mode,
        )
    except (ImageCms.PyCMSError, OSError):
        return image  # a profile nobody can read says nothing
    return turned or image


def _encoded(image: Image.Image, kind: Kind) -> Picture:
    content = _encode(image, kind.extension, 85)
    if len(content) > kind.max_bytes:  # a photo sent as PNG
        kind = BY_EXTENSION["webp"]
        content = _encode(image, kind.extension, 85)
    if len(content) > kind.max_bytes:
        raise FileTooLarge(max_bytes=kind.max_bytes)
    thumbnails, smaller = {}, image.copy()
    for side in sorted(THUMBNAIL_SIDES, reverse=True):
        smaller.thumbnail((side, side))
        thumbnails[side] = _encode(smaller, "webp", 80)
    return Picture(kind, content, *image.size, thumbnails)


def _encode(image: Image.Image, extension: str, quality: int) -> bytes:
    out = BytesIO()
    # No progressive JPEG: Pillow writes one in a single call that stops every other thread, the
    # event loop's among them, for 200 ms.
    options = {} if extension == "png" else {"quality": quality}
    image.save(out, _FORMATS[extension], **options)
    return out.getvalue()
