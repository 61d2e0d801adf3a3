"""Whether ``./scripts/bench --volume`` knows how to ask every route there is."""

from __future__ import annotations

import re

from app.core.ids import new_id
from app.main import Largo
from scripts.benchmarks.volume_data import Made
from scripts.benchmarks.volume_questions import ASIDE, REPORTS, questions

TABLES = (
    "users", "groups", "departments", "files", "webhook_endpoints", "schedules", "segments",
    "whatsapp_numbers", "message_templates", "conversations", "stock_counts", "imports",
    "modifier_groups", "tags",
)  # fmt: skip


def shop() -> Made:
    made = Made("volume", new_id(), new_id(), new_id())
    for rows in (made.stores, made.categories, made.products, made.contacts, made.promotions):
        rows.extend(new_id() for _ in range(6))
    made.orders.extend(new_id() for _ in range(6))
    made.ids.update({name: new_id() for name in TABLES})
    return made


def test_every_list_and_filter_has_a_value_or_a_reason(app: Largo) -> None:
    document = app.api.openapi()
    asked = questions(document, shop())
    assert asked.unknown == []
    gets = {route for route, operations in document["paths"].items() if "get" in operations}
    known = {question.route for question in asked.questions} | {
        route for route, _ in asked.left_out
    }
    assert known == gets
    assert len({question.route for question in asked.questions}) > 100


def test_what_is_left_out_exists(app: Largo) -> None:
    routes = {route for route, o in app.api.openapi()["paths"].items() if "get" in o}
    assert set(REPORTS) <= routes
    for pattern in ASIDE:
        assert any(re.fullmatch(pattern, route) for route in routes), pattern


def test_orders_are_asked_by_pairs_of_filters(app: Largo) -> None:
    asked = questions(app.api.openapi(), shop())
    pairs = {
        frozenset(question.params)
        for question in asked.questions
        if question.route == "/api/v1/admin/orders" and len(question.params) == 2
    }
    assert {frozenset({"status", "placed_to"}), frozenset({"payment_status", "late"})} <= pairs
