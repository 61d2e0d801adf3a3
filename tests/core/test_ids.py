"""Identifiers are version 7, unique, and in the order in which they were made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

from app.core.ids import id_at, new_id


def test_ids_of_one_process_are_in_order_and_unique() -> None:
    ids = [new_id() for _ in range(20_000)]  # far more than one counter holds in a millisecond
    assert all(a < b for a, b in pairwise(ids))
    assert {i.version for i in ids} == {7}
    assert {i.variant for i in ids} == {"specified in RFC 4122"}


def test_threads_do_not_share_an_id() -> None:
    with ThreadPoolExecutor(4) as threads:
        ids = [i for part in threads.map(lambda _: [new_id() for _ in range(2000)], range(4))
               for i in part]  # fmt: skip
    assert len(set(ids)) == len(ids)


def test_id_of_a_moment_carries_that_moment() -> None:
    moment = datetime(2017, 7, 9, 21, 57, 5, tzinfo=UTC)
    found = id_at(moment)
    assert found.version == 7
    assert found.int >> 80 == int(moment.timestamp() * 1000)
    assert found < new_id()
