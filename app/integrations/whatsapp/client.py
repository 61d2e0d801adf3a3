"""The WhatsApp Cloud API as a message gateway: sends texts and approved templates."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
from pydantic import JsonValue

from app.contracts.gateways.messaging import (
    GatewayOutcomeUnknown,
    MessagingCredentials,
    SentMessage,
    TemplateMessage,
)
from app.core.http import Answer, Verdict, verdict_of
from app.integrations.problems import call
from app.integrations.whatsapp.errors import VENDOR, failure_of

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
        return sent_of(answer)


def address(to: str) -> dict[str, JsonValue]:
    """The recipient in the vendor's words: ``recipient`` for a user id, ``to`` for digits."""
    if _BUSINESS_SCOPED_ID.fullmatch(to):
        return {"recipient": to}
    return {"to": _PHONE_PUNCTUATION.sub("", to)}


def sent_of(answer: Answer) -> SentMessage:
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
