"""What the vendor tells about numbers, applied; and how a number's last day looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.contracts.gateways.whatsapp import RemoteNumber
from app.contracts.whatsapp import NumberChanged, NumberInTrouble
from app.conversations.numbers import rules
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.numbers.repository import Day, NumberRepository
from app.conversations.numbers.schemas import NumberHealth, NumberRead
from app.core.clock import now
from app.kernel.work import UnitOfWork

DAY = timedelta(hours=24)
_SILENT = timedelta(days=3)
_HIGH_PER_SECOND = 1000
_WATCHED = ("verified_name", "quality", "status", "messaging_limit", "per_second")
_TOO_MANY_ERRORS = 0.1


class NumberNews:
    """Applies account webhooks; each method is idempotent and ignores numbers it does not know."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.numbers = NumberRepository(work.session)

    async def apply(self, waba_id: str, field: str, value: Mapping[str, Any]) -> bool:
        """Apply one change of an account webhook; False: the field is none of ours."""
        known = {
            "phone_number_quality_update": self.apply_quality,
            "phone_number_name_update": self.apply_name,
            "account_update": self.apply_account,
            "business_capability_update": self.apply_capability,
            "account_alerts": self.apply_alert,
        }
        if field not in known:
            return False
        await known[field](waba_id, value)
        return True

    async def apply_quality(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``phone_number_quality_update``: names the number by its display phone alone."""
        limit = rules.limit_of(
            value.get("max_daily_conversations_per_business") or value.get("current_limit")
        )
        quality = rules.quality_by_event(value.get("event"))
        fast = str(value.get("event", "")).upper() == "THROUGHPUT_UPGRADE"
        for row in await self._named(waba_id, value):
            before = _seen(row)
            if limit is not None:
                row.messaging_limit = limit.people
            if quality is not None:
                row.quality = quality
            if fast:
                row.per_second = _HIGH_PER_SECOND
            self._told(row, before)

    async def apply_name(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``phone_number_name_update``: only an approved name is shown to people."""
        if str(value.get("decision", "")).upper() != "APPROVED":
            return
        name = value.get("requested_verified_name")
        for row in await self._named(waba_id, value):
            before = _seen(row)
            row.verified_name = str(name) if name else row.verified_name
            self._told(row, before)

    async def apply_capability(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``business_capability_update``: the portfolio's limit."""
        told = value.get("max_daily_conversations_per_business")
        limit = rules.limit_of(told or value.get("max_daily_conversation_per_phone"))
        if limit is None:
            return
        for row in await self.numbers.of_waba(waba_id, lock=True):
            before = _seen(row)
            row.messaging_limit = limit.people
            self._told(row, before)

    async def apply_account(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``account_update``: bans and restrictions stop the account's campaigns."""
        verdict = rules.verdict_of(value)
        for row in await self.numbers.of_waba(waba_id, lock=True):
            before = _seen(row)
            row.status = verdict.status or row.status
            if verdict.stops is not None:
                self._stop(row, verdict.stops)
            elif verdict.resumes:
                row.campaigns_stopped_at = row.campaigns_stopped_why = None
            self._told(row, before)

    async def apply_alert(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``account_alerts``: the people in charge are told of what is serious."""
        alert = value.get("alert_info")
        told = alert if isinstance(alert, dict) else value
        if str(told.get("alert_severity", "")).upper() not in ("CRITICAL", "WARNING"):
            return
        reason = str(told.get("alert_description") or told.get("alert_type") or "")[:500]
        for row in (await self.numbers.of_waba(waba_id))[:1]:
            self.work.publish(NumberInTrouble(number_id=row.id, label=row.name, reason=reason))

    async def stop_campaigns(
        self, number_id: UUID, code: str, why: str, *, whole_account: bool = False
    ) -> None:
        """A send was refused with a code that stops bulk sends (131048...); replies go on."""
        row = await self.numbers.get(number_id, lock=True)
        rows = await self.numbers.of_waba(row.waba_id, lock=True) if whole_account else [row]
        for one in rows:
            self._stop(one, f"{code} {why}"[:500])

    async def token_refused(self, number_id: UUID, why: str) -> None:
        """The number can do nothing until it gets another token; its people are told once."""
        row = await self.numbers.get(number_id, lock=True)
        row.check_error = why[:500]
        self._stop(row, f"{rules.LOCKED_OUT}{why}"[:500])

    async def heard(self, number_id: UUID, at: datetime) -> None:
        """A delivery came for the number; kept to the minute."""
        await self.numbers.heard(number_id, at)

    async def seen(self, number_id: UUID, remote: RemoteNumber | None, error: str | None) -> None:
        """Keep how asking the vendor ended; a number that is gone is ignored."""
        row = await self.numbers.find(number_id, lock=True)
        if row is None:
            return
        row.checked_at, row.check_error = now(), error
        if remote is None:
            return
        before = _seen(row)
        row.verified_name = remote.verified_name or row.verified_name
        row.quality = rules.quality_of(remote.quality)
        row.status = remote.status
        if remote.tells_limit:
            row.messaging_limit = remote.messaging_limit
        if remote.per_second is not None and not row.is_coexistent:
            row.per_second = remote.per_second
        self._told(row, before)

    async def health(self, number_id: UUID) -> NumberHealth:
        """The number's last 24 hours, from its messages. Raises NumberNotFound."""
        row = await self.numbers.get(number_id)
        since = now() - DAY
        portfolio = [other.id for other in await self.numbers.of_waba(row.waba_id)]
        used = await self.numbers.reached(portfolio, since)
        day = await self.numbers.day(number_id, since)
        ended = day.sent + day.failed
        rate = round(day.failed / ended, 4) if ended else 0.0
        limit = row.messaging_limit
        found = _problems(row, used, rate)
        return NumberHealth(
            number=shown(row),
            limit=limit,
            limit_used=used,
            limit_left=None if limit is None else max(limit - used, 0),
            error_rate=rate,
            is_healthy=not found,
            problems=found,
            **_counts(day),
        )

    async def _named(self, waba_id: str, value: Mapping[str, Any]) -> Iterable[WhatsAppNumber]:
        phone = rules.digits(str(value.get("display_phone_number", "")))
        rows = await self.numbers.of_waba(waba_id, lock=True)
        return [row for row in rows if rules.digits(row.display_phone) == phone]

    def _stop(self, row: WhatsAppNumber, why: str) -> None:
        if row.campaigns_stopped_why == why:
            return
        row.campaigns_stopped_at, row.campaigns_stopped_why = now(), why
        self.work.publish(NumberInTrouble(number_id=row.id, label=row.name, reason=why))

    def _told(self, row: WhatsAppNumber, before: dict[str, Any]) -> None:
        changed = [name for name, value in _seen(row).items() if before[name] != value]
        if changed:
            self.work.publish(
                NumberChanged(
                    number_id=row.id,
                    label=row.name,
                    what=changed,
                    quality=row.quality,
                    status=row.status,
                )
            )


def shown(row: WhatsAppNumber) -> NumberRead:
    """A number as people see it: whether a secret is being rotated, never a secret."""
    fields = set(NumberRead.model_fields) - {"is_rotating_secret"}
    rotating = row.app_secret_previous is not None
    return NumberRead(**{n: getattr(row, n) for n in fields}, is_rotating_secret=rotating)


def _seen(row: WhatsAppNumber) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _WATCHED}


def _counts(day: Day) -> dict[str, Any]:
    names = ("received", "sent", "delivered", "read", "failed", "errors")
    return {name: getattr(day, name) for name in names}


def _problems(row: WhatsAppNumber, used: int, rate: float) -> list[str]:
    silent = row.last_webhook_at is None or row.last_webhook_at < now() - _SILENT
    found = {
        "switched-off": not row.is_active,
        "quality-red": row.quality == "red",
        "not-connected": row.status not in ("connected", "unknown"),
        "campaigns-stopped": row.campaigns_stopped_at is not None,
        "limit-reached": row.messaging_limit is not None and used >= row.messaging_limit,
        "many-errors": rate > _TOO_MANY_ERRORS,
        "check-failed": row.check_error is not None,
        "no-webhooks": silent,
    }
    return [name for name, is_so in found.items() if is_so]
