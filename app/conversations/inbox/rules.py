"""Who gets a conversation, when its clocks run out, how a canned reply is filled: no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from app.contracts.conversations import ConversationNoted, MessageUndecided, ServiceLate
from app.contracts.notices import Wording
from app.core.fold import fold

_NEVER = datetime.min.replace(tzinfo=UTC)
_VARIABLE = re.compile(r"\{\{\s*([a-z_]{1,30})\s*\}\}")
_WILDCARD = re.compile(r"[%_\\]")
_CLOCKS = {"first_reply": "Ninguém respondeu ainda", "resolution": "Ainda não foi resolvida"}


@dataclass(slots=True)
class Agent:
    """Somebody online who may be given conversations."""

    id: UUID
    department_ids: frozenset[UUID]
    load: int
    """Live conversations they have."""
    last_assigned_at: datetime | None


def chosen(
    strategy: str, agents: Sequence[Agent], department_id: UUID | None, capacity: int
) -> Agent | None:
    """Whose turn it is; None when nobody of the department has room."""
    fitting = [
        agent
        for agent in agents
        if agent.load < capacity
        and (department_id is None or department_id in agent.department_ids)
    ]
    if strategy == "manual" or not fitting:
        return None
    is_even = strategy == "round_robin"
    return min(
        fitting,
        key=lambda a: (0 if is_even else a.load, a.last_assigned_at or _NEVER, a.id),
    )


def filled(text: str, values: Mapping[str, str]) -> str:
    """A canned reply with its ``{{variables}}``; one that is not known stays as it is."""
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)


def like_patterns(query: str) -> list[str]:
    """One LIKE pattern per word, at most eight, as ``Message.search_text`` holds them."""
    words = fold(query).split()[:8]
    return ["%" + _WILDCARD.sub(r"\\\g<0>", word) + "%" for word in words]


def mentioned(event: ConversationNoted) -> frozenset[UUID]:
    """Who is told of a note: whom it names, but for who wrote it."""
    return frozenset(event.mentions) - {event.author_id}


def mention_notice(event: ConversationNoted) -> Wording:
    return Wording(
        "Mencionaram você",
        f"{event.author_name} mencionou você numa nota de uma conversa.",
        f"/conversations/{event.conversation_id}",
    )


def late_notice(event: ServiceLate) -> Wording:
    link = f"/conversations/{event.conversation_id}"
    return Wording("Conversa atrasada", f"{_CLOCKS[event.clock]} no prazo combinado.", link)


def undecided_notice(event: MessageUndecided) -> Wording:
    return Wording(
        "Mensagem sem confirmação",
        "O WhatsApp não confirmou um envio: reenvie ou desista.",
        f"/conversations/{event.conversation_id}",
    )
