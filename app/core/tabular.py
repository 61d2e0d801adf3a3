"""Reads tables out of text files as people save them, and writes those that spreadsheets open."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.core.workbook import NoWorkbook, sheet_rows

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_RUNS = ("=", "+", "-", "@", "\t", "\r")
_ZIP = b"PK\x03\x04"  # what .xlsx and .ods files are
_HEAD = 1 << 16  # the header is looked for in this many characters
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UnreadableTable(ValueError):
    """A file that is no table; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: ``line`` is where it starts in the file; ``problem`` says why it has no cells."""

    line: int
    cells: dict[str, str]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    rows: tuple[TableRow, ...]

    @property
    def described(self) -> str:
        """How it was read, for people: ``utf-8, comma, 5,460 rows``."""
        separated = f", {DELIMITERS[self.delimiter]}" if self.delimiter else ""
        return f"{self.encoding}{separated}, {len(self.rows):,} rows"


def read_table(data: bytes) -> Table:
    """Read comma-, semicolon- or tab-separated text, or an XLSX workbook, with a header.

    Column names are compared without case and outer spaces; empty lines are no rows. A row with
    another number of cells than the header, or with a NUL, keeps its line and says so. Raises
    UnreadableTable.
    """
    if data.startswith(_ZIP):
        try:
            return _table("xlsx", "", _sheet(data))
        except NoWorkbook as error:
            raise UnreadableTable(str(error)) from error
    encoding, text = _decoded(data)
    delimiter = _delimiter(text)
    return _table(encoding, delimiter, _lines(text, delimiter))


def _table(
    encoding: str, delimiter: str, lines: Iterator[tuple[int, list[str], str | None]]
) -> Table:
    header = tuple(name.strip().casefold() for name in next(lines, (0, [], None))[1])
    if not any(header):
        raise UnreadableTable("The file is empty: its first line must name the columns.")
    repeated = {name for name in header if name and header.count(name) > 1}
    if repeated:
        raise UnreadableTable(f"Columns appear twice: {', '.join(sorted(repeated))}.")
    return Table(encoding, delimiter, header, tuple(_rows(lines, header)))


def _sheet(data: bytes) -> Iterator[tuple[int, list[str], str | None]]:
    """Rows as wide as the header: a sheet is a rectangle that ends where its people stopped."""
    width = 0
    for line, cells in sheet_rows(data):
        if not any(cell.strip() for cell in cells):
            continue
        if not width:
            width = max(n for n, cell in enumerate(cells, start=1) if cell.strip())
        while len(cells) > width and not cells[-1].strip():
            cells.pop()
        yield line, [*cells, *[""] * (width - len(cells))], None


def _decoded(data: bytes) -> tuple[str, str]:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return encoding, data.decode(encoding)
            except UnicodeDecodeError as error:
                raise UnreadableTable(f"The file says it is {encoding} and is not.") from error
    for encoding in ("utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Windows-1252 is Latin-1 with letters in place of control codes: name the narrower one.
        is_latin = encoding == "cp1252" and not any(0x80 <= byte < 0xA0 for byte in data)
        return "latin-1" if is_latin else encoding, text
    return "latin-1", data.decode("latin-1")


def _delimiter(text: str) -> str:
    first = next((line for line in text[:_HEAD].splitlines() if line.strip()), "")
    return max(DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign), [])))


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str | None]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, [], f"not readable: {error}"
            continue
        if any(cell.strip() for cell in cells):
            yield start, cells, None


def _rows(
    lines: Iterator[tuple[int, list[str], str | None]], header: tuple[str, ...]
) -> Iterator[TableRow]:
    for line, cells, problem in lines:
        if problem is None and len(cells) != len(header):
            problem = f"has {len(cells)} cells where the header has {len(header)}"
        if problem is None and any("\x00" in cell for cell in cells):
            problem = "holds a NUL character"
        if problem is not None:
            yield TableRow(line, {}, problem)
        else:
            named = zip(header, (cell.strip() for cell in cells), strict=True)
            yield TableRow(line, dict(named))


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """The rows as UTF-8 CSV (RFC 4180), safe to open in a spreadsheet."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    # A spreadsheet would run what begins like this, and strangers choose their names
    # (OWASP, CSV injection).
    return f"'{text}" if text.startswith(_RUNS) else text


def unguarded(cell: str) -> str:
    """A cell as it was before ``csv_lines`` made it safe."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_RUNS) else cell
