"""Reads contacts out of a table, and says which lines are none: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from app.core.fold import fold
from app.core.phone import InvalidPhone, normalise_phone
from app.core.tabular import Table, TableRow, unguarded
from app.kernel.tags.models import ContactAttribute
from app.kernel.tags.rules import misfit

PRESETS = {
    "name": ("name", "nome", "cliente", "nome completo", "full name", "nombre"),
    "phone": ("phone", "telefone", "celular", "whatsapp", "fone", "telefono", "phone number"),
    "email": ("email", "e-mail", "correo", "e-mail address"),
    "company": ("company", "empresa", "organizacao", "organization"),
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_TRUE, _FALSE = ("sim", "true", "1", "s", "yes", "si"), ("nao", "false", "0", "n", "no")


@dataclass(frozen=True, slots=True)
class Line:
    """A contact as one line of the file has it."""

    line: int
    name: str
    phone: str | None
    email: str | None
    company: str | None
    attributes: dict[str, JsonValue]


@dataclass(slots=True)
class Read:
    """What a file holds: contacts, how many lines repeat one, and the wrong lines."""

    lines: list[Line] = field(default_factory=list)
    repeated: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)


def columns_of(
    header: Sequence[str], keys: Iterable[str], mapping: Mapping[str, str]
) -> dict[str, str]:
    """The column of each field: as mapped, else by its usual names. KeyError with what is wrong:
    a field or a column that does not exist."""
    fields = [*PRESETS, *keys]
    for name, column in mapping.items():
        if name not in fields:
            raise KeyError(f"{name} is no field: use {', '.join(fields)}")
        if column.strip().casefold() not in header:
            raise KeyError(f"there is no column {column}")
    found = {}
    for name in fields:
        names = (mapping[name],) if name in mapping else PRESETS.get(name, (name,))
        wanted = {fold(n.strip()) for n in names}
        if matching := [c for c in header if fold(c) in wanted]:
            found[name] = matching[0]
    return found


def read(table: Table, columns: Mapping[str, str], definitions: Sequence[ContactAttribute]) -> Read:
    """The contacts of a table; a later line with a phone or e-mail of an earlier one repeats it."""
    found, seen = Read(), set[str]()
    for row in table.rows:
        line = row.problem or _line(row, columns, definitions)
        if isinstance(line, str):
            found.faults.append((row.line, line))
            continue
        names = {name for name in (line.phone, line.email) if name}
        if names & seen:
            found.repeated += 1
        else:
            found.lines.append(line)
        seen |= names
    return found


def _line(
    row: TableRow, columns: Mapping[str, str], definitions: Sequence[ContactAttribute]
) -> Line | str:
    """The contact, or what is wrong with the line."""
    found = {name: unguarded(row.cells[column]) for name, column in columns.items()}
    cells = {name: cell for name, cell in found.items() if cell}
    phone = None
    try:
        phone = normalise_phone(cells["phone"]) if "phone" in cells else None
    except InvalidPhone as error:
        return f"the phone {cells['phone']} is not valid ({error.reason})"
    address = cells.get("email", "").lower() or None
    if address is not None and (len(address) > 254 or not _EMAIL.fullmatch(address)):
        return f"the e-mail {address[:80]} is not valid"
    if phone is None and address is None:
        return "neither a phone nor an e-mail"
    attributes: dict[str, JsonValue] = {}
    for definition in definitions:
        if definition.key not in cells:
            continue
        value = _value(definition, cells[definition.key])
        said = misfit(definition, value)
        if said is not None:
            return said
        attributes[definition.key] = value
    name = cells.get("name", "")[:120]
    return Line(row.line, name, phone, address, cells.get("company", "")[:120] or None, attributes)


def _value(definition: ContactAttribute, cell: str) -> JsonValue:
    """The cell as its definition's kind; what cannot be read stays text and will not fit."""
    if definition.kind == "boolean":
        word = fold(cell)
        return True if word in _TRUE else False if word in _FALSE else cell
    if definition.kind == "number":
        text = cell.replace(".", "").replace(",", ".") if "," in cell else cell
        return float(text) if re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", text) else cell
    if definition.kind == "date" and (day := re.fullmatch(r"(\d{2})/(\d{2})/(\d{4})", cell)):
        return f"{day[3]}-{day[2]}-{day[1]}"
    return cell
