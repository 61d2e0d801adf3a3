"""Heavy libraries that few requests need: named at import time, loaded at their first use.

Why: an idle process has 180 MB and three seconds to its first answer (spec/platform §7); a
vendor's library that takes 30 MB and half a second would spend both for tenants without it.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType


def lazy(name: str) -> ModuleType:
    """The module ``name``, executed when one of its attributes is first read.

    Typed use: ``if TYPE_CHECKING: import stripe`` and ``else: stripe = lazy("stripe")``.
    Raises ModuleNotFoundError at once when it is not installed.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    parent, _, child = name.rpartition(".")
    if parent:
        # An import finds the module registered and leaves the parent as it is; whoever then says
        # ``parent.child`` relies on this.
        setattr(sys.modules[parent], child, module)
    return module
