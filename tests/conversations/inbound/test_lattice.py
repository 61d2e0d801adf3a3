"""The status lattice by itself: every order and every repetition of notices ends the same."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations, permutations, product
from typing import Any

from app.conversations.inbound.rules import Change, Notice, folded, standing

WORDS = ("sent", "delivered", "read", "failed")
RANK = ("accepted", "sent", "delivered", "read")


def at(second: int) -> datetime:
    return datetime.fromtimestamp(1_780_000_000 + second, UTC)


def expected(instants: dict[str, int]) -> str:
    """The document's words, by another path than the code's."""
    reached = [word for word in RANK if word in instants]
    best = reached[-1] if reached else "accepted"
    if "failed" not in instants:
        return best
    after = [w for w in ("delivered", "read") if instants.get(w, -1) > instants["failed"]]
    return best if after else "failed"


def test_all_permutations_of_all_timings_end_in_the_documented_states() -> None:
    seen = set()
    for count in range(5):
        for words in combinations(WORDS, count):
            for seconds in product(range(4), repeat=count):
                instants = dict(zip(words, seconds, strict=True))
                wanted = expected(instants)
                notices = [Notice(w, at(s), {}) for w, s in instants.items()]
                for order in permutations(notices):
                    found = standing("accepted", order)
                    assert found.status == wanted, (instants, order)
                    assert found.stamps == {w: at(s) for w, s in instants.items()}
                seen.add(wanted)
    assert seen == {*RANK, "failed"}


def test_repetitions_change_nothing_and_the_first_stamp_stays() -> None:
    notices = [Notice(w, at(i), {}) for i, w in enumerate(("sent", "delivered", "read"))]
    once = standing("accepted", notices)
    for extra in notices:
        for order in permutations([*notices, extra]):
            assert standing("accepted", order) == once
    late = standing("accepted", [*notices, Notice("delivered", at(9), {})])
    assert late.stamps["delivered"] == at(1)
    assert late.status == "read"


def test_read_alone_says_read_and_played_is_more() -> None:
    read = standing("accepted", [Notice("read", at(3), {})])
    assert (read.status, read.stamps) == ("read", {"read": at(3)})
    played = [Notice("played", at(4), {}), Notice("read", at(3), {})]
    assert standing("accepted", played).status == "played"


def test_unknown_words_are_passed_over_and_the_base_stays() -> None:
    for base in ("accepted", "sent", "cancelled", "unknown"):
        assert standing(base, [Notice("deleted", at(1), {})]).status == base
    assert standing("unknown", [Notice("sent", at(1), {})]).status == "sent"
    assert standing("sent", [Notice("sent", at(1), {})]).status == "sent"


def test_a_failure_says_why_until_a_device_has_it() -> None:
    error = {"code": 131026, "title": "Undeliverable", "error_data": {"details": "No WhatsApp"}}
    failed = Notice("failed", at(5), {"errors": [error]})
    found = standing("accepted", [Notice("sent", at(1), {}), failed])
    assert (found.status, found.error_code, found.error) == ("failed", "131026", "No WhatsApp")
    healed = standing("accepted", [failed, Notice("delivered", at(6), {})])
    assert (healed.status, healed.error_code, healed.error) == ("delivered", None, None)
    assert healed.stamps["failed"] == at(5)
    odds: list[dict[str, Any]] = [{}, {"errors": []}, {"errors": "x"}, {"errors": [{"code": None}]}]
    for odd in odds:
        assert standing("sent", [Notice("failed", at(1), odd)]).error_code is None


def test_changes_fold_alike_in_every_order() -> None:
    changes = [
        Change("reaction", True, at(1), "a", {"reaction": {"emoji": "👍"}}, "👍"),
        Change("reaction", True, at(4), "b", {"reaction": {"emoji": "❤️"}}, "❤️"),
        Change("reaction", False, at(2), "c", {"reaction": {"emoji": "🙏"}}, "🙏"),
        Change("reaction", False, at(3), "d", {"reaction": {}}, None),
        Change("edit", True, at(2), "e", {"edit": {}}, "um"),
        Change("edit", True, at(3), "f", {"edit": {}}, "dois"),
        Change("edit", False, at(9), "g", {"edit": {}}, "de outro"),
    ]
    for order in permutations(changes):
        found = folded(order, is_from_contact=True)
        assert found.reactions == {"contact": "❤️"}
        assert found.edit is not None
        assert (found.edit.text, found.revoked_at) == ("dois", None)
    revoked = [Change("revoke", True, at(s), str(s), {}, None) for s in (8, 7)]
    assert folded(revoked, is_from_contact=True).revoked_at == at(7)
    assert folded(revoked, is_from_contact=False).revoked_at is None
