"""What staff are told when an order of their own making cannot be."""

from __future__ import annotations

from app.core.problems import Invalid, NotFound


class OrderCustomerNotFound(NotFound):
    code = "order-customer-not-found"
    title = "There is no such customer: find one at /api/v1/admin/customers, or send customer."


class CustomerRequired(Invalid):
    code = "customer-required"
    title = "Say who orders: send contact_id of somebody with a phone number, or customer."


class OverrideReasonRequired(Invalid):
    code = "override-reason-required"
    title = "Say why: another price, or an order while closed, needs override_reason."


class NothingToChange(Invalid):
    code = "nothing-to-change"
    title = "Send what changes: add, remove, change, address, note, scheduled_for or coupons."


class OrderNotOrderable(Invalid):
    code = "order-not-orderable"
    title = "Nobody could order it like this: keep a line, and complete what errors name."
