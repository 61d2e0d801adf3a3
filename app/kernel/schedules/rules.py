"""When a schedule is due and which of its missed times still run; no I/O (spec/rpa §3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from app.contracts.notices import Wording
from app.contracts.schedules import SchedulePaused

SHORTEST_GAP = timedelta(minutes=5)
GRACE = timedelta(seconds=60)
"""A tick found this late is on time: whoever ticks looks every second, and restarts take some."""
SHOWN_SKIPS = 300
"""Most skipped ticks that get a line of their own at once; one line stands for what is older."""
# A clock change makes the wall clock start over: what is asked after it must not depend on where
# the walk began, so it begins well before.
_RUN_UP = timedelta(hours=26)


class Misfire(StrEnum):
    """What becomes of ticks that nobody was there for."""

    SKIP = "skip"
    LATEST = "latest"
    ALL = "all"


class Overlap(StrEnum):
    """What becomes of a tick while an earlier run is not done."""

    SKIP = "skip"
    QUEUE_ONE = "queue_one"
    """One tick waits for the run's end; further ones are skipped meanwhile."""
    ALLOW = "allow"
    CANCEL_PREVIOUS = "cancel_previous"
    """The newest wins: what is queued is dropped, what runs ends at its next step."""


class BadCron(ValueError):
    """The expression is no cron line that we run; the message says why."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How missed ticks are treated."""

    misfire: Misfire
    window: timedelta
    """Older ticks are never run."""
    cap: int
    """Most ticks that ``all`` runs after one absence: the newest, oldest first."""


@dataclass(frozen=True, slots=True)
class Skipped:
    tick: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """What a look at a schedule found: each tick up to now is run or skipped, once."""

    run: tuple[datetime, ...]
    skipped: tuple[Skipped, ...]
    next_at: datetime | None
    """The first tick after now; None when the expression never comes again."""


def check_cron(cron: str) -> None:
    """Raises BadCron unless ``cron`` has five fields, ever comes and is not too frequent."""
    if len(cron.split()) != 5:
        raise BadCron("Write five fields: minute, hour, day of month, month, day of week.")
    try:
        found = list(islice(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)), 64))
    except CronSimError as error:
        raise BadCron(f"{error}: see crontab(5); L, LW, 1#2, 5L and names are allowed.") from None
    if not found:
        raise BadCron("This never comes: no such day exists.")
    if any(b - a < SHORTEST_GAP for a, b in pairwise(found)):
        raise BadCron("Runs must be at least 5 minutes apart, such as */5 * * * *.")


def ticks(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """Every tick later than ``after``, in UTC, strictly rising.

    Clock changes as in Debian's cron: a fixed time inside the gap runs right after it, one in
    the repeated hour runs once; what runs every so many minutes or every hour just goes on.
    """
    last = after
    for found in CronSim(cron, (after - _RUN_UP).astimezone(ZoneInfo(timezone))):
        tick = found.astimezone(UTC)
        if tick > last:
            last = tick
            yield tick


def next_tick(cron: str, timezone: str, after: datetime) -> datetime | None:
    """The first tick later than ``after``."""
    return next(ticks(cron, timezone, after), None)


def due_ticks(cron: str, timezone: str, after: datetime, until: datetime, policy: CatchUp) -> Due:
    """Decide about every tick in ``(after, until]``; instants are aware."""
    oldest = until - policy.window
    skipped: list[Skipped] = []
    if after < oldest:
        first = next_tick(cron, timezone, after)
        if first is not None and first <= oldest:
            # One line for the whole absence before the window, however long it was.
            skipped.append(Skipped(first, "window"))
        after = oldest
    found: list[datetime] = []
    coming: datetime | None = None
    for tick in ticks(cron, timezone, after):
        if tick > until:
            coming = tick
            break
        found.append(tick)
    run = _chosen(found, until, policy)
    missed = [t for t in found if t not in set(run)]
    skipped += [Skipped(t, "missed") for t in missed[-SHOWN_SKIPS:]]
    return Due(tuple(run), tuple(skipped), coming)


def _chosen(found: list[datetime], until: datetime, policy: CatchUp) -> list[datetime]:
    if policy.misfire is Misfire.ALL:
        return found[-policy.cap :]
    latest = found[-1:]
    if policy.misfire is Misfire.LATEST:
        return latest
    return [t for t in latest if until - t <= GRACE]


def paused_notice(event: SchedulePaused) -> Wording:
    """What the people in charge are told when a schedule was paused."""
    return Wording(
        f"Agendamento pausado: {event.schedule_name}",
        f"Falhou {event.failures} vezes seguidas. Veja o histórico, corrija e retome.",
        f"/admin/schedules/{event.schedule_id}",
    )
