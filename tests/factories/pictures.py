"""Pictures small enough for tests and whole enough for whoever decodes them."""

from __future__ import annotations

import io

from PIL import Image


def _picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 40, 40)).save(out, kind)
    return out.getvalue()


def png() -> bytes:
    return _picture("PNG")


def jpeg() -> bytes:
    return _picture("JPEG")
