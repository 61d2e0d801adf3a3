"""From measured points to one coordinate per postal prefix."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from app.commerce.imports.rules import BadRow, Columns, readable
from app.commerce.imports.schemas import Failure, Fields, Parsed
from app.core.tabular import Table, TableRow

POSTAL_AREAS: Fields = {
    "key": ("prefix", "geolocation_zip_code_prefix", "cep"),
    "latitude": ("latitude", "geolocation_lat", "lat"),
    "longitude": ("longitude", "geolocation_lng", "lng"),
    "city": ("city", "geolocation_city", "cidade"),
    "state": ("state", "geolocation_state", "uf"),
}
_BRAZIL = ((-34.0, 6.0), (-75.0, -28.0))


@dataclass(frozen=True, slots=True)
class PostalAreaRow:
    line: int
    key: str
    latitude: float
    longitude: float
    city: str
    state: str


def postal_areas(table: Table, found: Columns) -> Parsed[PostalAreaRow]:
    """One row per measured point; ``merge_areas`` makes areas of them."""

    def build(raw: TableRow) -> PostalAreaRow:
        cells = raw.cells
        prefix = found.required(cells, "key")[:5]
        if not re.fullmatch(r"\d{5}", prefix, re.ASCII):
            raise BadRow("a postal prefix has five digits")
        latitude = _degrees(found.required(cells, "latitude"), *_BRAZIL[0])
        longitude = _degrees(found.required(cells, "longitude"), *_BRAZIL[1])
        city, state = found.required(cells, "city"), found.required(cells, "state")
        return PostalAreaRow(raw.line, prefix, latitude, longitude, readable(city), state.upper())

    rows: list[PostalAreaRow] = []
    failures: list[Failure] = []
    for raw in table.rows:
        try:
            if raw.problem is not None:
                raise BadRow(raw.problem)
            rows.append(build(raw))
        except BadRow as error:
            key = raw.cells.get(found.by_field["key"], "")
            failures.append(Failure(raw.line, key, str(error)))
    return Parsed(len(table.rows), rows, failures)


def merge_areas(rows: Iterable[PostalAreaRow]) -> list[PostalAreaRow]:
    """One area per prefix, at the median of its points: a few of them are always far off."""
    points: dict[str, list[PostalAreaRow]] = defaultdict(list)
    for row in rows:
        points[row.key].append(row)
    return [
        PostalAreaRow(
            line=found[0].line,
            key=prefix,
            latitude=round(median(row.latitude for row in found), 6),
            longitude=round(median(row.longitude for row in found), 6),
            city=found[0].city,
            state=found[0].state,
        )
        for prefix, found in points.items()
    ]


def _degrees(text: str, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise BadRow(f"{text!r} is not a coordinate") from error
    if not lowest <= value <= highest:
        raise BadRow(f"{text!r} lies outside Brazil")
    return value
