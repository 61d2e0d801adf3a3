"""What a message says about consent, and what the ledger lets be sent: pure functions.

A whole message is compared, never a part of one: "pode parar na esquina?" opts nobody out. Words
that a customer also uses for an order (cancelar, cancel) are left to the shop.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from app.core.fold import fold

Wish = Literal["stop", "start"]

STOP_WORDS = frozenset(
    {
        # Portuguese
        "parar", "pare", "sair", "descadastrar", "descadastre", "me descadastre", "remover",
        "me remova", "remova", "quero sair", "quero parar", "parar mensagens", "pare de enviar",
        "pare de mandar", "nao quero mais", "nao quero receber", "nao quero mais receber",
        "nao quero receber mensagens", "cancelar inscricao", "cancelar mensagens",
        "parar promocoes", "sair da lista", "nao me mande mais mensagens", "bloquear mensagens",
        # English
        "stop", "stopall", "stop all", "unsubscribe", "quit", "end", "optout", "opt out",
        "opt-out", "revoke", "remove me", "stop messages", "stop promotions", "no more",
        # Spanish
        "alto", "baja", "dar de baja", "darme de baja", "detener", "salir", "desuscribir",
        "desuscribirme", "no quiero mas", "no quiero recibir", "no quiero recibir mensajes",
        "cancelar suscripcion", "parar mensajes",
    }
)  # fmt: skip
START_WORDS = frozenset(
    {
        "voltar a receber", "quero receber", "aceito receber", "reativar", "assinar",
        "start", "unstop", "subscribe", "optin", "opt in", "opt-in", "resume",
        "quiero recibir", "suscribir", "suscribirme", "volver a recibir",
    }
)  # fmt: skip
_LONGEST = 40
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_SPACES = re.compile(r"\s+")
_POLITE = re.compile(
    r"^(por favor|please|oi|ola|hola|hi)[ ,]+|[ ,]+(por favor|please|pls|obrigad[oa])$"
)


def wish_of(text: str) -> Wish | None:
    """Whether a whole message asks to be left alone, or to be written to again.

    Case, accents, punctuation and emoji around it do not matter, nor a "please".
    """
    if len(text) > 4 * _LONGEST:
        return None
    said = _SPACES.sub(" ", _EDGES.sub("", fold(text)))
    bare = _EDGES.sub("", _POLITE.sub("", said))
    for words in (said, bare):
        if words in STOP_WORDS:
            return "stop"
        if words in START_WORDS:
            return "start"
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger, as far as it decides."""

    id: UUID
    channel: str
    category: str
    is_opt_in: bool
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether something may be sent now, and why; ``opted-in``, ``not-opted-out`` and
    ``asked-for`` permit, ``blocked``, ``opted-out`` and ``not-opted-in`` do not."""

    is_allowed: bool
    reason: str


def permission(
    entries: Iterable[Entry], channel: str, category: str, *, is_blocked: bool
) -> Permission:
    """Whether ``category`` may be sent on ``channel``.

    Blocked people receive nothing. What they asked for themselves (service, authentication) needs
    no consent. Marketing needs an opt-in, utility only that nobody opted out; the newest decision
    for the category or for all counts.
    """
    if is_blocked:
        return Permission(False, "blocked")
    if category in ("service", "authentication"):
        return Permission(True, "asked-for")
    mine = [e for e in entries if e.channel == channel and e.category in (category, "all")]
    newest = max(mine, key=lambda e: (e.decided_at, e.id), default=None)
    if newest is not None:
        return Permission(newest.is_opt_in, "opted-in" if newest.is_opt_in else "opted-out")
    if category == "marketing":
        return Permission(False, "not-opted-in")
    return Permission(True, "not-opted-out")
