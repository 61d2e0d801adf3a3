"""A lazy library costs nothing until it is used, and is the real one then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.core.lazy import lazy

_PROGRAM = """
import sys
from app.core.lazy import lazy
calendar = lazy("wave")
assert "WAVE_FORMAT_PCM" not in object.__getattribute__(calendar, "__dict__")
print(calendar.WAVE_FORMAT_PCM, sys.modules["wave"] is calendar)
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
