"""What stays is walked by one long collection, and by none after it."""

from __future__ import annotations

import gc
import time

from app.core.collector import out_of_sight


def _collection_s() -> float:
    began = time.perf_counter()
    gc.collect()
    return time.perf_counter() - began


def test_what_makes_a_collection_long_is_set_aside() -> None:
    before = list(gc.callbacks)
    with out_of_sight(long_s=0.01):
        frozen = gc.get_freeze_count()
        gc.disable()
        kept = [{"n": {"n": n}} for n in range(300_000)]
        gc.enable()
        first, second = _collection_s(), _collection_s()
        held = gc.get_freeze_count()
        assert held > frozen + 200_000
        assert second < first / 5, (first, second)
        del kept[:]
        assert gc.get_freeze_count() < held - 200_000, "it is freed all the same"
    gc.unfreeze()
    assert gc.callbacks == before


def test_short_collections_set_nothing_aside() -> None:
    others, gc.callbacks[:] = list(gc.callbacks), []
    with out_of_sight(long_s=5):
        frozen = gc.get_freeze_count()
        kept = [{"n": n} for n in range(1000)]
        gc.collect()
        gc.callbacks.extend(others)
        assert gc.get_freeze_count() == frozen
        assert len(kept) == 1000
    gc.unfreeze()
