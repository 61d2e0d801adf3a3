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
