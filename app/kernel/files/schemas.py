"""Wire models of files."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from app.core.schema import Output

Visibility = Literal["public", "private"]


class FileRead(Output):
    id: UUID
    key: str
    media_type: str
    size_bytes: int
    original_name: str
    visibility: Visibility
    width: int | None = Field(description="Pixels, of an image.")
    height: int | None = Field(description="Pixels, of an image.")
    created_at: datetime
    url: str = Field(description="Where it is served; a private file's link ends after minutes.")
    thumbnails: dict[str, str] = Field(
        description="Of an image: WebP by longest side in pixels. `…/<hash>-480.webp` beside a "
        "public image's own address is always there, too."
    )
