"""The reports as rows of a CSV file (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from app.commerce.insights.schemas import Figures, Hour, Insights, Part, Report

_SALES = (
    "revenue_cents", "orders", "average_ticket_cents", "freight_cents", "discounted_orders",
    "discount_cents", "cancelled", "rejected", "lost_cents",
)  # fmt: skip
_CUSTOMERS = ("new_customers", "new_customers_cents", "returning_orders", "returning_cents")
_TIMES = ("preparation_seconds", "delivery_seconds", "door_seconds", "late")
_SERIES = {Report.SALES: _SALES, Report.CUSTOMERS: _CUSTOMERS, Report.TIMES: _TIMES}
_PART = tuple(Part.model_fields)


def csv_of(report: Report, found: Insights) -> bytes:
    """The report as UTF-8 CSV with a header."""
    if report in _SERIES:
        return _written(*_series(found, _SERIES[report]))
    if report is Report.HOURS:
        return _written(tuple(Hour.model_fields), ([*_values(h)] for h in found.hours))
    parts: list[Part] = getattr(found, report.value)
    return _written(_PART, ([*_values(part)] for part in parts))


def _series(
    found: Insights, names: Sequence[str]
) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    header = ("since", *names, "previous_since", *(f"previous_{name}" for name in names))
    # The period before may touch one bucket more or less: a week cut otherwise.
    pairs = zip_longest(found.series, found.previous_series)
    return header, (
        [now and now.since, *_of(now, names), then and then.since, *_of(then, names)]
        for now, then in pairs
    )


def _of(figures: Figures | None, names: Sequence[str]) -> list[object]:
    return [None if figures is None else getattr(figures, name) for name in names]


def _values(row: Hour | Part) -> list[object]:
    return list(row.model_dump().values())


def _written(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    # A spreadsheet would run what begins like this, and customers write reasons (OWASP).
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
