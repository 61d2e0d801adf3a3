"""The profiles of platforms: fetched from where their UCP-Agent says, and kept for a while.

Strangers say where to: only what the guard allows is dialled, a profile is small or none, each is
kept for some minutes, a failure too, and nobody has us fetch more than so many per minute. Who is
known already stays known while the budget of its neighbours is spent.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import orjson

from app.commerce.ucp.problems import (
    InvalidProfileUrl,
    ProfileMalformed,
    ProfileUnreachable,
    TooManyProfiles,
    VersionUnsupported,
)
from app.commerce.ucp.protocol import VERSION, NotAProfile, Profile, read_profile
from app.core.guard import NotDelivered, UrlRefused
from app.core.problems import Problem
from app.core.ratelimit import Limit, LocalLimiter
from app.kernel.work import Runtime

MOST = 128 * 1024
_KEPT_S, _FAILED_S = 300.0, 60.0
_ROOM = 1000
_FETCHES = Limit("ucp-profiles", 60, 60)
log = logging.getLogger(__name__)

Found = Profile | type[Problem]


@dataclass(slots=True)
class _Known:
    """Profiles of this process, those asked for last at the end."""

    found: OrderedDict[str, tuple[float, Found]] = field(default_factory=OrderedDict)
    pace: LocalLimiter = field(default_factory=lambda: LocalLimiter(_FETCHES))

    def get(self, url: str) -> tuple[Found | None, bool]:
        """What is known, and whether it is to be believed without asking again."""
        until, found = self.found.get(url, (0.0, None))
        if found is not None:
            self.found.move_to_end(url)
        return found, until > time.monotonic()

    def keep(self, url: str, found: Found) -> Found:
        life = _KEPT_S if isinstance(found, Profile) else _FAILED_S
        self.found[url] = (time.monotonic() + life, found)
        self.found.move_to_end(url)
        if len(self.found) > _ROOM:
            self.found.popitem(last=False)
        return found


async def profile_of(runtime: Runtime, url: str, asker: str) -> Profile:
    """The profile that this URL holds, for who asks from this address; outside of any Work.

    Raises InvalidProfileUrl, ProfileUnreachable, ProfileMalformed, VersionUnsupported,
    TooManyProfiles.
    """
    known = runtime.caches.setdefault("ucp.profiles", _Known())
    found, is_fresh = known.get(url)
    if found is None or not is_fresh:
        decision = known.pace.take(asker)
        if decision.allowed:
            found = known.keep(url, await _fetched(runtime, url))
        elif not isinstance(found, Profile):
            busy = TooManyProfiles()
            busy.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
            raise busy
    if not isinstance(found, Profile):
        raise found()
    if found.version != VERSION:
        raise VersionUnsupported(f"This shop speaks {VERSION}, your profile {found.version}.")
    return found


async def _fetched(runtime: Runtime, url: str) -> Found:
    try:
        receipt = await runtime.guard.get(url, headers={"accept": "application/json"}, most=MOST)
    except UrlRefused as refused:
        log.info("ucp.profile_refused", extra={"reason": str(refused)})
        return InvalidProfileUrl
    except NotDelivered as failed:
        log.info("ucp.profile_unreachable", extra={"reason": str(failed)})
        return ProfileUnreachable
    if receipt.status != 200:
        return ProfileUnreachable
    if len(receipt.body) > MOST:
        return ProfileMalformed
    try:
        return read_profile(orjson.loads(receipt.body))
    except (NotAProfile, orjson.JSONDecodeError, RecursionError):
        return ProfileMalformed
