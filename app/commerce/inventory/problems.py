"""What can go wrong with stock."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class StockLevelNotFound(NotFound):
    code = "stock-level-not-found"
    title = "There is no such stock level."


class StockItemNotFound(NotFound):
    code = "item-not-found"
    title = "There is no such product, variant or modifier: check item_kind and item_id."


class StockNotTracked(Conflict):
    code = "stock-not-tracked"
    title = "This item's stock is not tracked here: record a receipt or a count first."


class InsufficientStock(Conflict):
    code = "insufficient-stock"
    title = "There is less on hand than asked: see on_hand, or correct the count first."


class SameStore(Invalid):
    code = "transfer-same-store"
    title = "A transfer needs two different stores."
