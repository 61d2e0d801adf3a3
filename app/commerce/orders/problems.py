"""What can go wrong with an order after it was placed."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class OrderNotFound(NotFound):
    code = "order-not-found"
    title = "There is no such order, or the tracking token does not open it."


class TransitionNotAllowed(Conflict):
    code = "transition-not-allowed"
    title = "The order cannot move there from its current status: see status and allowed."


class OrderNotCancellable(Conflict):
    code = "order-not-cancellable"
    title = "The store is already working on the order: call the store to cancel it."


class VersionConflict(Conflict):
    code = "version-conflict"
    title = "Somebody changed the order meanwhile: read it again, then decide."


class ReasonRequired(Conflict):
    code = "reason-required"
    title = "Say why: rejecting or cancelling an order needs a reason."


class OrderNotEditable(Conflict):
    code = "order-not-editable"
    title = "The order is being prepared or finished: cancel it, or place another one."


class OrderLineNotFound(NotFound):
    code = "order-line-not-found"
    title = "The order has no such line: read the order for those it has."
