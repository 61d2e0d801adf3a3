"""The WhatsApp Cloud API as a message gateway: sends texts and approved templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    TemplateMessage,
)
from app.core.http import Answer, Verdict, verdict_of
from app.integrations.problems import call, failure_by_status, without
from app.integrations.whatsapp.errors import AMBIGUOUS, Meaning, meaning_of

VENDOR = "whatsapp"
# Business-scoped user id: country, dot, opaque part. Its owner may have no visible phone number.
_BUSINESS_SCOPED_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]+")
_PHONE_PUNCTUATION = re.compile(r"[+\s().-]")


class WhatsAppClient:
    """Satisfies ``MessageGateway`` and ``TemplateGateway``; holds no credential and no state."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, version: str) -> None:
        self._http = http
        self._root = f"{base_url.rstrip('/')}/{version}"

    async def send_text(
        self,
        *,
        credentials: MessagingCredentials,
        to: str,
        text: str,
        reference: str,
        preview_url: bool = False,
    ) -> SentMessage:
        """Send free text, which the vendor allows within 24 h of the person's last message.

        ``to`` is a phone number (E.164, punctuation ignored) or a business-scoped user id.
        Raises the gateway failures of ``app.contracts.gateways.messaging``.
        """
        content: dict[str, JsonValue] = {"body": text, "preview_url": preview_url}
        return await self._send(credentials, to, "text", content, reference)

    async def send_template(
        self,
        *,
        credentials: MessagingCredentials,
        to: str,
        template: TemplateMessage,
        reference: str,
    ) -> SentMessage:
        """Send an approved template, allowed at any time; raises the gateway failures."""
        content: dict[str, JsonValue] = {
            "name": template.name,
            "language": {"code": template.language},
        }
        if template.components:
            content["components"] = [dict(component) for component in template.components]
        return await self._send(credentials, to, "template", content, reference)

    async def _send(
        self,
        credentials: MessagingCredentials,
        to: str,
        kind: str,
        content: dict[str, JsonValue],
        reference: str,
    ) -> SentMessage:
        payload: dict[str, JsonValue] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **address(to),
            "type": kind,
            kind: content,
        }
        if reference:
            payload["biz_opaque_callback_data"] = reference
        answer = await call(
            VENDOR,
            self._http,
            f"{self._root}/{quote(credentials.sender, safe='')}/messages",
            payload=payload,
            headers={"authorization": f"Bearer {credentials.token}"},
        )
        if verdict_of(answer.status) is not Verdict.ACCEPTED:
            raise failure_of(answer, credentials.token)
        return _sent(answer)


def address(to: str) -> dict[str, JsonValue]:
    """The recipient in the vendor's words: ``recipient`` for a user id, ``to`` for digits."""
    if _BUSINESS_SCOPED_ID.fullmatch(to):
        return {"recipient": to}
    return {"to": _PHONE_PUNCTUATION.sub("", to)}


def _sent(answer: Answer) -> SentMessage:
    match answer.body:
        case {"messages": [{"id": str(wamid), **message}, *_], **rest}:
            # ``contacts`` is documented and yet missing from some accepted sends.
            match rest.get("contacts"):
                case [{"wa_id": str(wa_id)}, *_]:
                    resolved: str | None = wa_id.strip()
                case _:
                    resolved = None
            return SentMessage(wamid, resolved, str(message.get("message_status", "accepted")))
    raise GatewayOutcomeUnknown(VENDOR, "accepted without a message id")


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
