"""Heavy libraries that few requests need: named at import time, loaded at their first use.

Why: an idle process has 180 MB and three seconds to its first answer (spec/platform §7); a
vendor's library that takes 30 MB and half a second would spend both for tenants without it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Library(ModuleType):
    """Stands for a module until one of its attributes is read.

    Not ``importlib.util.LazyLoader``: before Python 3.12 a second thread finds its module half
    made. A plain import waits for the thread that is at it.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def lazy(name: str) -> ModuleType:
    """The module ``name``, imported when one of its attributes is first read, by any thread.

    Typed use: ``if TYPE_CHECKING: import stripe`` and ``else: stripe = lazy("stripe")``.
    Raises ModuleNotFoundError at once when it is not installed.
    """
    if name in sys.modules:
        return sys.modules[name]
    # Of the package alone: to look for a module inside of it, Python would import it.
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _Library(name)


def import_without(name: str, absent: str) -> None:
    """Import ``name`` as if its optional ``absent`` were not installed; others still find it."""
    before = sys.modules.get(absent)
    sys.modules[absent] = None  # type: ignore[assignment] # Python's own way to say so
    try:
        importlib.import_module(name)
    finally:
        del sys.modules[absent]
        if before is not None:
            sys.modules[absent] = before
