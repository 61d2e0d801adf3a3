"""From the cells of a file to rows with a meaning: column names, values, statuses, history.

The presets know the column names of common exports, those of Olist's public data set among
them; a mapping ``field=column`` overrules them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from app.commerce.imports.problems import ImportColumnsMissing, ImportMappingUnknown
from app.commerce.imports.schemas import (
    METHODS,
    STATUSES,
    AddressRow,
    CustomerRow,
    Failure,
    Fields,
    OrderLine,
    OrderPayment,
    OrderRow,
    Parsed,
    ProductRow,
    R,
    StatusStep,
)
from app.core.model import Json
from app.core.phone import InvalidPhone, normalise_phone
from app.core.postal import InvalidCep, normalise_cep
from app.core.tabular import Table, TableRow
from app.core.written import Unreadable, cents_from, instant_from, whole_from

_PATH = (
    ("confirmed", "confirmed_at"),
    ("out_for_delivery", "shipped_at"),
    ("delivered", "delivered_at"),
)
_PASSED = {
    "pending": 0,
    "confirmed": 0,
    "preparing": 1,
    "ready": 1,
    "out_for_delivery": 1,
    "delivered": 2,
    "rejected": 0,
    "cancelled": 3,
}
"""How much of the path lies behind an order in this status, where the file knows the moments."""
_UNPAID = frozenset({"pending", "rejected", "cancelled"})
_SMALL_WORDS = frozenset({"da", "das", "de", "do", "dos", "e"})


class BadRow(ValueError):
    """Why one row cannot be imported."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column each field is read from."""

    by_field: Mapping[str, str]

    def text(self, cells: Mapping[str, str], name: str) -> str | None:
        """The cell, None when the file has no such column or the cell is empty."""
        column = self.by_field.get(name)
        return (cells[column] or None) if column else None

    def required(self, cells: Mapping[str, str], name: str) -> str:
        found = self.text(cells, name)
        if found is None:
            raise BadRow(f"{self.by_field[name]} is empty")
        return found


def columns(
    fields: Fields,
    table: Table,
    needed: Iterable[str],
    overrides: Mapping[str, str] | None = None,
    *,
    guess: bool = True,
) -> Columns:
    """Match fields with the file's columns; without ``guess`` only as ``overrides`` say.

    Raises ImportMappingUnknown, ImportColumnsMissing.
    """
    chosen = {name: column.casefold() for name, column in (overrides or {}).items()}
    for name, column in chosen.items():
        if name not in fields or column not in table.header:
            raise ImportMappingUnknown(
                f"{name}={column}: fields are {', '.join(fields)}; "
                f"columns are {', '.join(table.header)}."
            )
    for name, aliases in fields.items():
        known = next((alias for alias in aliases if alias in table.header), None)
        if known is not None and guess:
            chosen.setdefault(name, known)
    missing = [name for name in needed if name not in chosen]
    if missing:
        raise ImportColumnsMissing(
            f"Missing: {', '.join(missing)}. Columns are {', '.join(table.header)}."
        )
    return Columns({name: chosen[name] for name in fields if name in chosen})


def parse(
    table: Table,
    found: Columns,
    build: Callable[[TableRow], R],
    *,
    keep_repeats: bool = False,
) -> Parsed[R]:
    """Build every row; a key that comes twice with different facts fails the second time."""
    rows: list[R] = []
    failures: list[Failure] = []
    first: dict[str, R] = {}
    repeats = 0
    for raw in table.rows:
        key = raw.cells.get(found.by_field["key"], "")
        try:
            if raw.problem is not None:
                raise BadRow(raw.problem)
            row = build(raw)
        except (BadRow, Unreadable) as error:
            failures.append(Failure(raw.line, key, str(error)))
            continue
        known = first.setdefault(row.key, row)
        if known is row or (keep_repeats and known == row):
            rows.append(row)
        elif known == row:
            repeats += 1
        else:
            reason = f"the key is on line {known.line} already, with other facts"
            failures.append(Failure(raw.line, key, reason))
    return Parsed(len(table.rows), rows, failures, repeats)


def products(table: Table, found: Columns, prices: Mapping[str, int] | None) -> Parsed[ProductRow]:
    """Products; ``prices`` by key stand in where the file has no price of its own."""

    def build(raw: TableRow) -> ProductRow:
        cells = raw.cells
        key = found.required(cells, "key")
        price, category = found.text(cells, "price"), found.text(cells, "category")
        return ProductRow(
            line=raw.line,
            key=key,
            name=found.text(cells, "name"),
            category=readable(category) if category else None,
            price_cents=cents_from(price) if price else (prices or {}).get(key),
            description=found.text(cells, "description"),
            sku=found.text(cells, "sku"),
            attributes=_attributes(found, cells),
        )

    return parse(table, found, build)


def customers(table: Table, found: Columns) -> Parsed[CustomerRow]:
    """Customers; the same customer may come once per address."""

    def build(raw: TableRow) -> CustomerRow:
        cells = raw.cells
        phone, email = found.text(cells, "phone"), found.text(cells, "email")
        alias = "alias" if found.by_field.get("alias") != found.by_field["key"] else None
        return CustomerRow(
            line=raw.line,
            key=found.required(cells, "key"),
            alias=found.text(cells, alias) if alias else cells.get("customer_id"),
            name=found.text(cells, "name"),
            phone=_phone(phone) if phone else None,
            email=_email(email) if email else None,
            address=_address(found, cells),
        )

    return parse(table, found, build, keep_repeats=True)


@dataclass(slots=True)
class Parts:
    """What belongs to the orders of another file, by order, and what is wrong with it."""

    items: dict[str, list[tuple[OrderLine, int]]] = field(default_factory=lambda: defaultdict(list))
    payments: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    wrong: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def read_items(self, table: Table, found: Columns, orders: frozenset[str], file: str) -> None:
        """Take the lines of ``orders``; lines of other orders are failures of their own."""

        def take(order: str, cells: Mapping[str, str]) -> None:
            quantity, freight = found.text(cells, "quantity"), found.text(cells, "shipping")
            line = OrderLine(
                product_key=found.required(cells, "product"),
                unit_price_cents=cents_from(found.required(cells, "price")),
                quantity=whole_from(quantity, lowest=1) if quantity else 1,
            )
            self.items[order].append((line, cents_from(freight) if freight else 0))

        self._read(table, found, orders, file, take)

    def read_payments(
        self, table: Table, found: Columns, orders: frozenset[str], file: str
    ) -> None:
        """Take the payments of ``orders``."""

        def take(order: str, cells: Mapping[str, str]) -> None:
            method = METHODS.get((found.text(cells, "method") or "").casefold(), "other")
            amount = cents_from(found.required(cells, "amount"))
            self.payments[order].append((method, amount))

        self._read(table, found, orders, file, take)

    def _read(
        self,
        table: Table,
        found: Columns,
        orders: frozenset[str],
        file: str,
        take: Callable[[str, Mapping[str, str]], None],
    ) -> None:
        for raw in table.rows:
            order = raw.cells.get(found.by_field["order"], "")
            try:
                if raw.problem is not None:
                    raise BadRow(raw.problem)
                if order not in orders:
                    raise BadRow("the orders file has no such order")
                take(order, raw.cells)
            except (BadRow, Unreadable) as error:
                self.failures.append(Failure(raw.line, order, str(error), file))
                self.wrong.setdefault(order, f"{file} line {raw.line}: {error}")


def orders(
    table: Table, found: Columns, parts: Parts, zone: ZoneInfo, now: datetime
) -> Parsed[OrderRow]:
    """Orders with their lines and payments; one wrong line makes the whole order wrong."""

    def build(raw: TableRow) -> OrderRow:
        cells = raw.cells
        key = found.required(cells, "key")
        if key in parts.wrong:
            raise BadRow(parts.wrong[key])
        status = STATUSES.get(found.required(cells, "status").casefold())
        if status is None:
            raise BadRow(f"unknown status {found.text(cells, 'status')!r}")
        placed_at = instant_from(found.required(cells, "placed_at"), zone, latest=now)
        moments = {
            name: instant_from(text, zone, latest=now)
            for name in ("confirmed_at", "shipped_at", "delivered_at")
            if (text := found.text(cells, name))
        }
        promised = found.text(cells, "promised_at")
        return OrderRow(
            line=raw.line,
            key=key,
            customer_key=found.required(cells, "customer"),
            placed_at=placed_at,
            promised_at=instant_from(promised, zone, latest=now + timedelta(days=730))
            if promised
            else None,
            steps=history(status, placed_at, moments),
            lines=_merged(line for line, _ in parts.items.get(key, ())),
            payments=_paid(status, "confirmed_at" in moments, parts.payments.get(key, ())),
            shipping_cents=sum(freight for _, freight in parts.items.get(key, ())),
        )

    return parse(table, found, build)


def history(
    status: str, placed_at: datetime, moments: Mapping[str, datetime]
) -> tuple[StatusStep, ...]:
    """The moves the file tells of, in order, ending at ``status``; time never runs backwards."""
    steps = [StatusStep(None, "pending", placed_at)]
    for after, name in _PATH[: _PASSED[status]]:
        if name in moments:
            steps.append(StatusStep(steps[-1].after, after, max(moments[name], steps[-1].at)))
    if status != "pending":
        own = moments.get(dict(_PATH).get(status, ""), placed_at)
        steps.append(StatusStep(steps[-1].after, status, max(own, steps[-1].at)))
    return tuple(steps)


def _merged(lines: Iterable[OrderLine]) -> tuple[OrderLine, ...]:
    """The same product at the same price is one line with a quantity."""
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for line in lines:
        counts[line.product_key, line.unit_price_cents] += line.quantity
    return tuple(OrderLine(key, cents, quantity) for (key, cents), quantity in counts.items())


def _paid(
    status: str, confirmed: bool, found: Iterable[tuple[str, int]]
) -> tuple[OrderPayment, ...]:
    state = "paid" if confirmed or status not in _UNPAID else "cancelled"
    if status == "pending" and not confirmed:
        state = "pending"
    return tuple(OrderPayment(method, cents, state) for method, cents in found)


def median_prices(table: Table, found: Columns) -> dict[str, int]:
    """What each product usually cost, in cents; lines that cannot be read do not count."""
    seen: dict[str, list[int]] = defaultdict(list)
    for raw in table.rows:
        try:
            product = found.required(raw.cells, "product")
            seen[product].append(cents_from(found.required(raw.cells, "price")))
        except (BadRow, Unreadable, KeyError):
            continue
    return {key: int(median(values)) for key, values in seen.items()}


def readable(text: str) -> str:
    """``rio de janeiro`` -> ``Rio de Janeiro``, ``moveis_decoracao`` -> ``Moveis Decoracao``."""
    words = re.split(r"[\s_]+", text.strip())
    return " ".join(
        word if i and word.casefold() in _SMALL_WORDS else word[:1].upper() + word[1:]
        for i, word in enumerate(words)
    )


def slug_of(text: str) -> str:
    """Lower-case ASCII with single dashes; a text without any letter becomes ``item``."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    return re.sub(r"[^a-z0-9]+", "-", bare).strip("-") or "item"


def slug_with_key(text: str, key: str) -> str:
    """A slug that no other key of the same text has."""
    return f"{slug_of(text)[:80].rstrip('-')}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _attributes(found: Columns, cells: Mapping[str, str]) -> Json:
    attributes: Json = {}
    weight = found.text(cells, "weight_g")
    if weight:
        attributes["weight_g"] = whole_from(weight)
    sides = [found.text(cells, name) for name in ("length_cm", "height_cm", "width_cm")]
    if all(sides):
        attributes["dimensions_cm"] = [whole_from(side) for side in sides if side]
    return attributes


def _phone(text: str) -> str:
    try:
        return normalise_phone(text)
    except InvalidPhone as error:
        raise BadRow(f"{text!r} is not a telephone number: {error.reason}") from error


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise BadRow(f"{text!r} is not an e-mail address")
    return text.lower()


def _address(found: Columns, cells: Mapping[str, str]) -> AddressRow | None:
    written = found.text(cells, "postal_code")
    if written is None:
        return None
    # Exports that hide the street give the five-digit prefix: its first postal code stands for it.
    digits = written + "000" if re.fullmatch(r"\d{5}", written, re.ASCII) else written
    try:
        cep = normalise_cep(digits)
    except InvalidCep as error:
        raise BadRow(f"{written!r} is not a CEP: {error.reason}") from error
    names = ("street", "number", "complement", "district", "city", "state")
    address: Json = {name: found.text(cells, name) for name in names}
    address["city"] = readable(address["city"] or "") or None
    return AddressRow(cep, {**address, "postal_code": cep})
