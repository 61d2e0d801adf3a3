"""Which facts a tenant's own people are told of, and in which words; domains fill the registry.

A *notice* goes to people who work for the tenant. What a customer is told about an order is a
message of ``conversations.notifications`` and has nothing to do with this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from app.contracts.events import Event

E = TypeVar("E", bound=Event)


class NoticeChannel(StrEnum):
    """The ways a notice can reach somebody."""

    IN_APP = "in_app"
    PUSH = "push"
    TELEGRAM = "telegram"
    EMAIL = "email"


WHERE_THEY_ARE = frozenset({NoticeChannel.IN_APP, NoticeChannel.PUSH, NoticeChannel.TELEGRAM})
"""The usual channels: what a person set up herself is meant to be used."""
EVERYWHERE = frozenset(NoticeChannel)
"""For what somebody must hear of even when nobody is at the desk."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A notice as people read it (pt-BR); ``link`` is a path of the user interface."""

    title: str
    body: str
    link: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeKind(Generic[E]):
    """One event that people are told of. Its name is the event's."""

    event: type[E]
    label: str
    """What a person switches on and off, in her words."""
    grant: str
    """Who is told: the active members with this ``module.action``."""
    words: Callable[[E], Wording]
    by_default: frozenset[NoticeChannel] = WHERE_THEY_ARE
    is_for_platform: bool = False
    """Told in the super-admin tenant alone: it is about running the platform."""
    only: Callable[[E], frozenset[UUID]] | None = None
    """Of those, the members it is meant for; None: all."""
    is_urgent: bool = False
    ttl_s: int = 24 * 3600
    """How long a device that sleeps may still be woken for it."""


AnyNoticeKind = NoticeKind[Any]
NoticeKinds = dict[str, AnyNoticeKind]
"""Every kind by the name of its event."""


def notice_kinds(*kinds: AnyNoticeKind) -> NoticeKinds:
    """The registry that ``wiring`` holds; a new kind is one more argument."""
    return {kind.event.name: kind for kind in kinds}
