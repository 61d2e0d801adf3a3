"""Every kind of message through the WhatsApp Cloud API, and the marks that one was read."""

from __future__ import annotations

from urllib.parse import quote

import httpx
from pydantic import JsonValue

from app.contracts.gateways.messaging import (
    GatewayOutcomeUnknown,
    MessagingCredentials,
    SentMessage,
)
from app.contracts.gateways.sending import OutgoingMessage
from app.core.http import Answer, Verdict, verdict_of
from app.integrations.problems import call
from app.integrations.whatsapp.client import address
from app.integrations.whatsapp.errors import VENDOR, failure_of


class WhatsAppSender:
    """Satisfies ``SendsMessages``; holds no credential and no state."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, version: str) -> None:
        self._http = http
        self._root = f"{base_url.rstrip('/')}/{version}"

    async def send(
        self,
        *,
        credentials: MessagingCredentials,
        to: str,
        message: OutgoingMessage,
        reference: str,
    ) -> SentMessage:
        """Send one message of any kind; raises the gateway failures."""
        payload: dict[str, JsonValue] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **address(to),
            "type": message.kind,
            message.kind: message.content,
            "biz_opaque_callback_data": reference,
        }
        if message.reply_to is not None:
            payload["context"] = {"message_id": message.reply_to}
        return _sent(await self._post(credentials, payload))

    async def mark_read(
        self, *, credentials: MessagingCredentials, wamid: str, is_typing: bool
    ) -> None:
        """Blue ticks up to this message, with the three dots if wanted; raises as ``send``."""
        payload: dict[str, JsonValue] = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": wamid,
        }
        if is_typing:
            payload["typing_indicator"] = {"type": "text"}
        await self._post(credentials, payload)

    async def _post(
        self, credentials: MessagingCredentials, payload: dict[str, JsonValue]
    ) -> Answer:
        url = f"{self._root}/{quote(credentials.sender, safe='')}/messages"
        headers = {"authorization": f"Bearer {credentials.token}"}
        answer = await call(VENDOR, self._http, url, payload=payload, headers=headers)
        if verdict_of(answer.status) is not Verdict.ACCEPTED:
            raise failure_of(answer, credentials.token)
        return answer


def _sent(answer: Answer) -> SentMessage:
    match answer.body:
        # ``contacts`` is documented and yet missing from some accepted sends.
        case {"messages": [{"id": str(wamid), **message}, *_]}:
            return SentMessage(wamid, None, str(message.get("message_status", "accepted")))
    raise GatewayOutcomeUnknown(VENDOR, "accepted without a message id")
