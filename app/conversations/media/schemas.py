"""Wire models of media: what came, what is to be sent, what the clean-up did."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from app.conversations.media.rules import MediaKind, State
from app.core.schema import Input, Output

_ID = "019a7f5e-8c00-7a3b-9f10-2b7d4c1e9a55"


class MediaRead(Output):
    id: UUID
    message_id: UUID
    kind: str = Field(examples=["image"])
    state: State
    reason: str | None = Field(description="A word for programs.", examples=["storage-full"])
    detail: str | None = Field(description="What happened, and what helps, in Portuguese.")
    media_type: str | None = Field(examples=["audio/ogg"])
    original_name: str | None
    size_bytes: int | None
    url: str | None = Field(description="Where it is served; the link ends after 15 minutes.")
    thumbnails: dict[str, str] = Field(description="Of an image: WebP by longest side in pixels.")
    expires_at: datetime | None = Field(description="Until then the vendor can be asked again.")
    created_at: datetime


class UploadRead(Output):
    id: UUID
    kind: MediaKind
    media_type: str
    original_name: str
    size_bytes: int
    url: str
    thumbnails: dict[str, str]
    created_at: datetime


class TemplateHandleIn(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"number_id": _ID}]})

    number_id: UUID = Field(description="Any number of the account that gets the template.")


class TemplateHandle(Output):
    handle: str = Field(description="For `example.header_handle` of the template's header.")
    format: str = Field(description="The header's format.", examples=["IMAGE"])


class CleanupIn(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"is_dry_run": True}]})

    is_dry_run: bool = Field(True, description="Only count what would be removed.")


class CleanupReport(Output):
    old: int = Field(description="Media past the time for which the installation keeps them.")
    lost: int = Field(description="Media whose bytes are not in the store; they are marked.")
    unsent: int = Field(description="Uploads that nobody sent, past the time of unused files.")
    forgotten: int = Field(description="Downloads without a job, which are queued again.")
    copies: int = Field(description="Copies that the vendor has forgotten.")
    files: int = Field(description="Files that nothing refers to.")
    bytes: int = Field(description="What those files take of the plan.")


class CleanupRead(Output):
    id: UUID
    is_dry_run: bool
    report: CleanupReport | None = Field(description="null until the run has ended.")
    created_at: datetime
    ended_at: datetime | None
