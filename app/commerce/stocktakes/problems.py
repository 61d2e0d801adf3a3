"""What can go wrong with counts of stock."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class StockCountNotFound(NotFound):
    code = "stock-count-not-found"
    title = "There is no such count."


class StockCountOpen(Conflict):
    code = "stock-count-open"
    title = "This store is being counted already: close or cancel that count first."


class StockCountEnded(Conflict):
    code = "stock-count-ended"
    title = "This count was closed or cancelled: open another one."


class NothingCounted(Conflict):
    code = "nothing-counted"
    title = "Nothing was counted yet: enter lines, or cancel the count."
