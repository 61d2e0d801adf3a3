"""Whether somebody answers now, and the words that say when somebody will."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson

from app.conversations.notifications.rules import filled
from app.core.hours import Schedule, is_open
from app.core.language import Language

AWAY = "conversations.hours.away"
AWAY_TEXT: dict[Language, str] = {
    "pt": "Olá! Estamos fora do horário de atendimento. Voltamos {{next_opening}}.",
    "en": "Hello! We are away right now. We are back {{next_opening}}.",
}
_SOON: dict[Language, str] = {"pt": "em breve", "en": "soon"}
_WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "pt": (
        "segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado",
        "domingo",
    ),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}  # fmt: skip


@lru_cache(maxsize=512)  # the same few texts come with every delivery
def schedule_of(written: str) -> Schedule:
    """The schedule of a JSON text with timezone, hours and exceptions."""
    facts = orjson.loads(written)
    return Schedule.from_rows(facts["timezone"], facts["hours"], facts["exceptions"])


def is_away(written: str | None, at: datetime) -> bool:
    """Whether these hours, if there are any, say that nobody answers at ``at``."""
    return written is not None and not is_open(schedule_of(written), at)


def away_text(
    template: str | None, opening: datetime | None, at: datetime, name: str, language: Language,
    timezone: str,
) -> str:  # fmt: skip
    """What is said while it is closed; ``opening`` is when it opens next, if it does."""
    values = {
        "next_opening": opening_text(opening, at, language, timezone),
        "customer_name": " ".join(name.split()),
    }
    return filled(template or AWAY_TEXT[language], values)


def opening_text(opening: datetime | None, at: datetime, language: Language, timezone: str) -> str:
    """``hoje às 14:00``, ``amanhã às 09:00``, ``terça-feira, 24/11, às 09:00``; or that it is
    not known."""
    if opening is None:
        return _SOON[language]
    zone = ZoneInfo(timezone)
    local, today = opening.astimezone(zone), at.astimezone(zone).date()
    clock = f"{local:%H:%M}"
    weekday = _WEEKDAYS[language][local.weekday()]
    if language == "en":
        if local.date() == today:
            return f"today at {clock}"
        if local.date() == today + timedelta(days=1):
            return f"tomorrow at {clock}"
        return f"on {weekday}, {local:%-d %b}, at {clock}"
    if local.date() == today:
        return f"hoje às {clock}"
    if local.date() == today + timedelta(days=1):
        return f"amanhã às {clock}"
    return f"{weekday}, {local:%d/%m}, às {clock}"
