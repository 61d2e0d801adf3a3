"""Password hashing off the event loop: bcrypt_sha256, legacy bcrypt accepted and upgraded.

Inline hashing cut other requests from 4,764 to 40 per second (spec/kernel-facts A.5), hence the
two-thread pool: a login storm queues behind itself and nobody else.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from passlib.context import CryptContext

P = ParamSpec("P")
R = TypeVar("R")

_ROUNDS = 12
_COMMON = frozenset(
    (Path(__file__).parent / "common_passwords.txt").read_text("utf-8").casefold().split()
)


def is_common(password: str) -> bool:
    """Whether a guesser tries it first (ASVS 6.2.4): case and outer spaces do not count."""
    return password.strip().casefold() in _COMMON


@dataclass(frozen=True, slots=True)
class Verdict:
    ok: bool
    upgraded: str | None = None
    """A new hash to store, when the old one is weaker than today's."""


def _yield_to_others() -> None:
    """Let the event loop go first where both want the processor: hashing is patient work."""
    if sys.platform == "linux":  # where a priority is a thread's own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


class Passwords:
    def __init__(self, rounds: int = _ROUNDS) -> None:
        self._context = CryptContext(
            schemes=["bcrypt_sha256", "bcrypt"],
            deprecated=["bcrypt"],
            bcrypt_sha256__rounds=rounds,
            bcrypt__rounds=rounds,
        )
        self._threads = ThreadPoolExecutor(2, "passwords", initializer=_yield_to_others)
        # Compared with when the account does not exist, so that both answers take as long.
        self._dummy = self._threads.submit(self._context.hash, "no such account")

    async def hash(self, password: str) -> str:
        hashed: str = await self._run(self._context.hash, password)
        return hashed

    async def verify(self, password: str, hashed: str | None) -> Verdict:
        """Check ``password``; ``hashed`` None takes the same time and fails."""
        ok, upgraded = await self._run(self._check, password, hashed)
        return Verdict(ok and hashed is not None, upgraded if hashed else None)

    def _check(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        found: tuple[bool, str | None] = self._context.verify_and_update(
            password, hashed or self._dummy.result()
        )
        return found

    async def _run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        work = partial(call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Stop the threads; called when the process ends."""
        self._threads.shutdown(wait=False, cancel_futures=True)
