"""Wire models of files."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import computed_field

from app.core.schema import Output


class FileRead(Output):
    id: UUID
    key: str
    media_type: str
    size_bytes: int
    original_name: str
    created_at: datetime

    @computed_field(description="Where it is served.")  # type: ignore[prop-decorator]
    @property
    def url(self) -> str:
        return f"/media/{self.key}"
