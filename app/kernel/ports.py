"""What wiring hands to the unit of work: contracts bound to what answers them, jobs by event."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from app.contracts.events import Event

if TYPE_CHECKING:
    from app.kernel.work import UnitOfWork

P = TypeVar("P")


class Ports(dict[tuple[type[Any], str], Callable[["UnitOfWork"], Any]]):
    """Contracts and what answers them, with a name where vendors share one contract."""

    def bind(
        self, contract: type[P], factory: Callable[[UnitOfWork], P], *, name: str = ""
    ) -> Ports:
        """Bind a contract to its implementation; mypy checks that it satisfies it."""
        self[contract, name] = factory
        return self


Subscribers = dict[type[Event], list[str]]
"""Which jobs an event starts."""

Schedulable = dict[str, str]
"""Which jobs a tenant may put on a schedule, and the module that its plan must have."""
