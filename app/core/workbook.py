"""Reads the first sheet of an XLSX workbook as rows of text, within bounds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import datetime, time
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from app.core.lazy import lazy

if TYPE_CHECKING:
    import openpyxl
    from openpyxl.utils import exceptions as openpyxl_errors
else:
    openpyxl = lazy("openpyxl")  # 8 MB that only a spreadsheet needs
    openpyxl_errors = lazy("openpyxl.utils.exceptions")

_LARGEST_UNPACKED = 256 * 1024 * 1024
"""A workbook is a ZIP archive, and a small one may unpack to fill the memory."""
_WIDEST = 200


class NoWorkbook(ValueError):
    """What was sent is no workbook that can be read; the message says what to do."""


def sheet_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the first sheet, as a person sees them. Raises NoWorkbook."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > _LARGEST_UNPACKED:
            raise NoWorkbook("This spreadsheet is too large: save it as CSV and try again.")
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        for line, cells in enumerate(sheet.iter_rows(values_only=True, max_col=_WIDEST), start=1):
            yield line, [_text(value) for value in cells]
    except (
        zipfile.BadZipFile, openpyxl_errors.InvalidFileException, ParseError, KeyError, IndexError,
    ) as error:  # fmt: skip
        raise NoWorkbook(
            "This spreadsheet cannot be opened: save it as CSV and try again."
        ) from error


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(round(value, 6))
    if isinstance(value, datetime):
        is_day = value.time() == time()
        return value.date().isoformat() if is_day else value.isoformat(sep=" ")
    return str(value)
