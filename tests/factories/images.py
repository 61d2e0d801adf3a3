"""Real images for uploads: whatever is taken in is decoded, so bytes that only look right fail."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image


def image(
    kind: str = "PNG",
    size: tuple[int, int] = (40, 30),
    color: tuple[int, int, int] = (200, 30, 60),
    **options: Any,
) -> bytes:
    """A picture whose left half has ``color`` and whose right half is white."""
    made = Image.new("RGB", size, "white")
    made.paste(color, (0, 0, size[0] // 2, size[1]))
    out = BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    """The decoded picture."""
    found = Image.open(BytesIO(content))
    found.load()
    return found
