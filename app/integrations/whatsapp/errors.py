"""The WhatsApp Cloud API's error codes, and what each one asks of us.

Classified by ``code``, as Meta advises, never by HTTP status or title: codes keep their meaning,
statuses do not. Source: developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    Refusal,
)
from app.core.http import Answer, Verdict, verdict_of
from app.integrations.problems import failure_by_status, without

VENDOR = "whatsapp"

PAIR_LIMIT = 131056
PER_USER_MARKETING_CAP = 131049
NUMBER_UPGRADE = 131057

# Steady rate between one business and one person is a message per 6 s; the caller widens it.
_WAITS_S = MappingProxyType(
    {PAIR_LIMIT: 6.0, PER_USER_MARKETING_CAP: 86_400.0, NUMBER_UPGRADE: 60.0}
)

# "Something went wrong" without a word on whether the message left.
AMBIGUOUS = frozenset({1, 131000})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code asks for, what it is about, and the least wait in seconds."""

    action: Refusal
    scope: str
    wait_s: float | None = None


_TABLE: dict[tuple[Refusal, str], tuple[int, ...]] = {
    (Refusal.RETRY, "call"): (2, 613, 131016),
    (Refusal.RETRY, "app"): (4,),
    (Refusal.RETRY, "account"): (80007,),
    (Refusal.RETRY, "number"): (130429, 131057),
    (Refusal.RETRY, "message"): (131052, 131053),
    (Refusal.RETRY, "template"): (132069,),
    (Refusal.RETRY_PAIR, "pair"): (PAIR_LIMIT,),
    (Refusal.DEFER, "recipient"): (PER_USER_MARKETING_CAP,),
    (Refusal.DEFER, "number"): (133016,),
    (Refusal.STOP, "account"): (368, 131031, 131042, 131064),
    (Refusal.STOP, "number"): (131037, 131045, 131048),
    (Refusal.STOP, "template"): (132015, 132016),
    (Refusal.AUTH, "account"): (0, 3, 10, 102, 104, 190, *range(200, 300), 131005),
    (Refusal.PERMANENT, "number"): (33,),
    (Refusal.PERMANENT, "message"): (
        *(100, 131008, 131009, 131047, 131051, 131062, 132005, 132008, 135000),
    ),
    (Refusal.PERMANENT, "recipient"): (*(130472, 130497, 131021, 131026, 131030, 131050, 137000),),
    (Refusal.PERMANENT, "account"): (131063,),
    (Refusal.PERMANENT, "template"): (132000, 132001, 132007, 132012, 132068),
}

MEANINGS = MappingProxyType(
    {
        code: Meaning(action, scope, _WAITS_S.get(code))
        for (action, scope), codes in _TABLE.items()
        for code in codes
    }
)


def meaning_of(code: int) -> Meaning | None:
    """The meaning of a code, None for one we do not know (or an ambiguous one)."""
    return MEANINGS.get(code)


def failure_of(answer: Answer, token: str) -> GatewayFailure:
    """Judge an answer that is not a success, by the vendor's code when it gives one."""
    match answer.body:
        case {"error": {"code": int(code), **error}}:
            pass
        case _:
            return failure_by_status(VENDOR, answer)
    message = without(token, _sentence(error))
    meaning = meaning_of(code) or _by_hint(answer, error)
    if code in AMBIGUOUS or meaning is None:
        return GatewayOutcomeUnknown(VENDOR, f"{code} {message}")
    return GatewayRefused(
        VENDOR,
        str(code),
        message,
        action=meaning.action,
        scope=meaning.scope,
        retry_after_s=_longest(meaning.wait_s, answer.retry_after_s),
    )


def _by_hint(answer: Answer, error: Mapping[object, object]) -> Meaning | None:
    """A code we do not know: believe ``is_transient``, then the status; 5xx stays unknown."""
    if error.get("is_transient") is True:
        return Meaning(Refusal.RETRY, "call")
    match verdict_of(answer.status):
        case Verdict.RETRY_LATER:
            return Meaning(Refusal.RETRY, "call")
        case Verdict.REFUSED if answer.status == 401:
            return Meaning(Refusal.AUTH, "account")
        case Verdict.REFUSED:
            return Meaning(Refusal.PERMANENT, "message")
    return None


def _sentence(error: Mapping[object, object]) -> str:
    match error.get("error_data"):
        case {"details": str(details)} if details:
            return details
    return str(error.get("message", "no message"))


def _longest(*waits: float | None) -> float | None:
    return max((wait for wait in waits if wait is not None), default=None)
