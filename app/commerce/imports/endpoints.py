"""HTTP for imports, under /admin/imports."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from app.commerce.imports.desk import ImportDesk, Sent, remap, upload
from app.commerce.imports.models import ROLES, DataImport
from app.commerce.imports.problems import (
    ImportColumnsMissing,
    ImportEnded,
    ImportFileMissing,
    ImportFileTooLarge,
    ImportFileUnreadable,
    ImportMappingUnknown,
    ImportNotFound,
    ImportNotReady,
    ImportStoreNotFound,
    ImportStoreUnclear,
)
from app.commerce.imports.shown import ImportDetail, ImportRead, Kind, MappingChange
from app.core.forms import FormTooLarge, read_form
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1/admin/imports", tags=["imports"])
Desk = Annotated[ImportDesk, service(ImportDesk)]
READ = require_module("commerce", "imports:read")
WRITE = require_module("commerce", "imports:write")
LARGEST_BYTES = 32 * 1024 * 1024
"""Of all files of an import together."""
_STORES = (ImportStoreNotFound, ImportStoreUnclear)
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {role: {"type": "string", "format": "binary"} for role in ROLES},
                }
            }
        },
    }
}


@router.post(
    "",
    status_code=201,
    response_model=ImportDetail,
    dependencies=[WRITE],
    responses=problems(
        ImportFileMissing, ImportFileUnreadable, ImportFileTooLarge, ImportMappingUnknown, *_STORES
    ),
    openapi_extra=_FORM,
)
async def upload_import(
    request: Request, works: Works, kind: Kind, store_id: UUID | None = None
) -> DataImport:
    """Upload CSV or XLSX and see how it would be read; nothing else is written.

    Encoding and delimiter are found out, columns recognised by name. `orders` also need `items`,
    and may have `payments`; `products` without prices may have `items`, whose median they take.
    An upload that nobody applies is forgotten after a day.
    """
    return await upload(works, kind, store_id, await _received(request))


async def _received(request: Request) -> dict[str, Sent]:
    try:
        form = await read_form(request, most_bytes=LARGEST_BYTES, max_files=len(ROLES))
    except FormTooLarge as error:
        raise ImportFileTooLarge(max_bytes=LARGEST_BYTES) from error
    except MultiPartException as error:
        raise ImportFileMissing(error.message) from error
    try:
        return {
            role: Sent((part.filename or role)[:200], await part.read())
            for role in ROLES
            if isinstance(part := form.get(role), UploadFile)
        }
    finally:
        await form.close()


@router.get("", dependencies=[READ])
async def list_imports(desk: Desk, page: Paging) -> PageRead[ImportRead]:
    """All imports, newest first."""
    return PageRead[ImportRead].model_validate(await desk.page(page))


@router.get(
    "/{import_id}",
    response_model=ImportDetail,
    dependencies=[READ],
    responses=problems(ImportNotFound),
)
async def show_import(import_id: UUID, desk: Desk) -> DataImport:
    """One import: `rows_read = created + updated + unchanged + skipped + failed` at its end."""
    return await desk.get(import_id)


@router.patch(
    "/{import_id}",
    response_model=ImportDetail,
    dependencies=[WRITE],
    responses=problems(
        ImportNotFound, ImportNotReady, ImportMappingUnknown, ImportFileMissing, *_STORES
    ),
)
async def map_import(import_id: UUID, body: MappingChange, works: Works) -> DataImport:
    """Read fields from other columns, and look at the rows anew."""
    return await remap(works, import_id, {str(role): m for role, m in body.mapping.items()})


@router.post(
    "/{import_id}/apply",
    status_code=202,
    response_model=ImportDetail,
    dependencies=[WRITE],
    responses=problems(ImportNotFound, ImportNotReady, ImportColumnsMissing),
)
async def apply_import(import_id: UUID, desk: Desk) -> DataImport:
    """Write the rows, matched by their key; follow it on the live stream's topic `imports`."""
    return await desk.apply(import_id)


@router.post(
    "/{import_id}/cancel",
    response_model=ImportDetail,
    dependencies=[WRITE],
    responses=problems(ImportNotFound, ImportEnded),
)
async def cancel_import(import_id: UUID, desk: Desk) -> DataImport:
    """Stop between two chunks; rows that are written stay."""
    return await desk.cancel(import_id)


@router.get(
    "/{import_id}/errors",
    dependencies=[READ],
    response_class=Response,
    responses={
        200: {
            "description": "CSV, UTF-8.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
        **problems(ImportNotFound),
    },
)
async def download_import_errors(import_id: UUID, desk: Desk) -> Response:
    """Every row that was refused: file, line, key, reason."""
    return Response(
        await desk.failures(import_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="erros.csv"'},
    )
