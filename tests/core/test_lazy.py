"""A lazy library costs nothing until it is used, and is the real one then."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.core.lazy import lazy

_PROGRAM = """
import sys
from app.core.lazy import lazy
calendar = lazy("wave")
assert "wave" not in sys.modules
print(calendar.WAVE_FORMAT_PCM, sys.modules["wave"].Error is calendar.Error)
"""


def test_a_library_is_loaded_at_its_first_use() -> None:
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True
    )
    assert run.stdout.split() == ["1", "True"], run.stderr


def test_a_missing_library_is_told_at_once() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        lazy("no_such_library")


def test_a_loaded_library_is_handed_out_as_it_is() -> None:
    assert lazy("sys") is sys


_DOTTED = """
from app.core.lazy import lazy
lazy("xml.dom.minidom")
import xml.dom.minidom
print(xml.dom.minidom.Document.__name__)
"""


def test_a_submodule_is_found_through_its_parent() -> None:
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _DOTTED], capture_output=True, text=True
    )
    assert run.stdout.split() == ["Document"], run.stderr


def test_threads_that_use_it_first_at_once_all_find_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = "import time\ntime.sleep(0.2)\nWHOLE = object()\n"
    (tmp_path / "slow_library.py").write_text(made, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    library, together = lazy("slow_library"), Barrier(4)

    def use(_: int) -> object:
        together.wait(10)
        return library.WHOLE

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(use, range(4)))
    assert found == [sys.modules.pop("slow_library").WHOLE] * 4


_WITHOUT = """
import sys
import app, httpx, redis.asyncio
print(*(name in sys.modules for name in ("httpx._main", "rich", "opentelemetry.sdk")))
import opentelemetry.sdk.trace
print("opentelemetry.sdk.trace" in sys.modules)
"""


def test_what_only_a_command_line_or_metrics_need_stays_out_until_wanted() -> None:
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _WITHOUT], capture_output=True, text=True
    )
    assert run.stdout.split() == ["False", "False", "False", "True"], run.stderr
