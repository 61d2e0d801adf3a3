"""The product, killed by SIGKILL inside the next checkout at the point that ``DIES_AT`` names.

The short way: ``priced`` (nothing is sent), ``committed`` (nobody is answered). The long way:
``locked`` (rows written, nothing told of them), ``written`` (not committed), ``kept`` (committed,
nobody is answered).
"""

from __future__ import annotations

import os
import signal
from contextvars import ContextVar
from typing import Any

from app.commerce.checkout import endpoints, service
from app.commerce.checkout.group_commit import GroupCommit
from app.kernel.work import UnitOfWork
from app.main import app

__all__ = ["app"]

_taking: ContextVar[bool] = ContextVar("taking", default=False)
_write, _finish, _take_order = GroupCommit._write, UnitOfWork.finish, service.take_order


def die(point: str) -> None:
    if os.environ["DIES_AT"] == point:
        os.kill(os.getpid(), signal.SIGKILL)


async def write(self: GroupCommit, *args: Any) -> None:
    die("priced")
    await _write(self, *args)
    die("committed")


async def finish(self: UnitOfWork) -> None:
    if _taking.get():
        die("locked")
    await _finish(self)
    if _taking.get():
        die("written")


async def take_order(*args: Any) -> Any:
    token = _taking.set(True)
    try:
        found = await _take_order(*args)
    finally:
        _taking.reset(token)
    die("kept")
    return found


for _place, _name, _mortal in (
    (GroupCommit, "_write", write),
    (UnitOfWork, "finish", finish),
    (service, "take_order", take_order),
    (endpoints, "take_order", take_order),
):
    setattr(_place, _name, _mortal)
