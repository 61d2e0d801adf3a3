"""What the API of imports takes and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output

Kind = Literal["products", "customers", "orders"]
Role = Literal["file", "items", "payments"]
Status = Literal["ready", "queued", "running", "done", "failed", "cancelled"]
Mapping = dict[str, str]
SAMPLE_ROWS = 10
SAMPLE_FAILURES = 20


class MappingChange(Input):
    """Which column each field is read from, by file; a file that is named is mapped anew."""

    mapping: dict[Role, Mapping] = Field(min_length=1)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"mapping": {"file": {"key": "código", "name": "produto", "price": "preço"}}}
            ]
        }
    )


class FileShown(Output):
    """How a file was read, and what it could say."""

    role: Role
    name: str
    encoding: str
    delimiter: str
    """Empty for a workbook."""
    rows: int
    columns: list[str]
    fields: list[str]
    needed: list[str]
    mapping: Mapping
    missing: list[str]
    """Needed and in no column yet: map them before the import is applied."""


class FailureShown(Output):
    file: str
    line: int
    key: str
    reason: str


class Preview(Output):
    """What would be read; nothing of it is written."""

    files: list[FileShown]
    sample: list[dict[str, str]]
    """The first rows of the main file, by column."""
    readable: int
    skipped: int
    failed: int
    failures: list[FailureShown]
    """The first of them."""


class ImportRead(Output):
    id: UUID
    kind: Kind
    status: Status
    store_id: UUID | None
    reason: str | None
    rows_read: int
    rows_total: int
    rows_done: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    failed: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ImportDetail(ImportRead):
    preview: Preview
