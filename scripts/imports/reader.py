"""Opens the files of an import and says how each was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from app.commerce.imports.rules import Columns, columns
from app.commerce.imports.schemas import Fields
from app.core.tabular import Table, UnreadableTable, read_table

Say = Callable[[str], None]


class Refused(Exception):
    """The import cannot begin; the message says what to do."""


def opened(
    path: Path,
    fields: Fields,
    needed: Iterable[str],
    say: Say,
    mapping: Mapping[str, str] | None = None,
) -> tuple[Table, Columns]:
    """Read ``path`` and match its columns. Raises Refused and the problems of ``columns``."""
    try:
        table = read_table(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except UnreadableTable as error:
        raise Refused(f"{path}: {error}") from error
    found = columns(fields, table, needed, mapping)
    say(f"{path.name}: {table.described}")
    say("  " + ", ".join(f"{name} <- {column}" for name, column in found.by_field.items()))
    return table, found


def beside(path: Path, given: Path | None, name: str, say: Say) -> Path | None:
    """The file that was named, else ``name`` in the same folder when there is one."""
    if given is not None:
        return given
    sibling = path.with_name(name)
    if not sibling.is_file():
        return None
    say(f"Using {name} beside {path.name}.")
    return sibling


def mapping_of(pairs: Iterable[str]) -> dict[str, str]:
    """``field=column`` arguments as a mapping. Raises Refused."""
    found = {}
    for pair in pairs:
        name, sign, column = pair.partition("=")
        if not (name and sign and column):
            raise Refused(f"--mapping {pair}: write field=column, e.g. --mapping name=titulo")
        found[name] = column
    return found
