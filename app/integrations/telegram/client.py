"""The Telegram Bot API as a message gateway: sends plain text to a chat."""

from __future__ import annotations

from urllib.parse import quote

import httpx
from pydantic import JsonValue

from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    MessagingCredentials,
    Refusal,
    SentMessage,
)
from app.core.http import Answer
from app.integrations.problems import call, failure_by_status, without

VENDOR = "telegram"


class TelegramClient:
    """Satisfies ``MessageGateway``; ``to`` is a chat id (``-100...`` for groups) or ``@channel``.

    The vendor has neither an idempotency key nor an echo: ``reference`` stays with the caller, and
    an unknown outcome is never resolved by itself.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._root = base_url.rstrip("/")

    async def send_text(
        self, *, credentials: MessagingCredentials, to: str, text: str, reference: str
    ) -> SentMessage:
        """Send plain text, no markup; raises the gateway failures of ``contracts.gateways``."""
        payload: dict[str, JsonValue] = {
            "chat_id": to,
            "text": text,
            "link_preview_options": {"is_disabled": True},
        }
        answer = await call(
            VENDOR,
            self._http,
            f"{self._root}/bot{quote(credentials.token, safe=':')}/sendMessage",
            payload=payload,
        )
        match answer.body:
            case {"ok": True, "result": {"message_id": int(message_id), **message}}:
                return SentMessage(str(message_id), _chat(message.get("chat")))
            case {"ok": True}:
                raise GatewayOutcomeUnknown(VENDOR, "accepted without a message id")
        raise failure_of(answer, credentials.token)


def _chat(chat: object) -> str | None:
    match chat:
        case {"id": int(chat_id)}:
            return str(chat_id)
    return None


def failure_of(answer: Answer, token: str) -> GatewayFailure:
    """Judge an answer that is not a success; 5xx is unknown: the vendor may have acted."""
    match answer.body:
        case {"ok": False, "error_code": int(code), **error}:
            pass
        case _:
            return failure_by_status(VENDOR, answer)
    message = without(token, str(error.get("description", "no description")))
    if code >= 500:
        return GatewayOutcomeUnknown(VENDOR, f"{code} {message}")
    parameters = error.get("parameters")
    facts = parameters if isinstance(parameters, dict) else {}
    wait, moved = facts.get("retry_after"), facts.get("migrate_to_chat_id")
    action, scope = _meaning(code)
    return GatewayRefused(
        VENDOR,
        str(code),
        message,
        action=action,
        scope=scope,
        retry_after_s=float(wait) if isinstance(wait, int | float) else answer.retry_after_s,
        moved_to=str(moved) if isinstance(moved, int) else None,
    )


def _meaning(code: int) -> tuple[Refusal, str]:
    match code:
        case 429:
            return Refusal.RETRY, "number"
        case 401 | 404:  # an unknown bot is "Not Found": the token is part of the path
            return Refusal.AUTH, "account"
        case 403:  # blocked by the person, or put out of the group
            return Refusal.PERMANENT, "recipient"
    return Refusal.PERMANENT, "message"
