"""The one client of the Cloud API: sends of every kind, media, templates, the number itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, BinaryIO

from pydantic import JsonValue

from app.contracts.gateways.messaging import (
    GatewayOutcomeUnknown,
    MessagingCredentials,
    SentMessage,
)
from app.contracts.gateways.whatsapp import (
    MediaInfo,
    OutboundMessage,
    RemoteNumber,
    RemoteTemplate,
    WhatsAppAccount,
)
from app.contracts.gateways.whatsapp_messages import Text, TextMessage
from app.integrations.whatsapp.errors import VENDOR
from app.integrations.whatsapp.graph import TRANSFER_S, Graph, mapping, refused

_PRODUCT = {"messaging_product": "whatsapp"}
_NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,name_status,throughput,status,"
    "whatsapp_business_manager_messaging_limit"
)
_TEMPLATE_FIELDS = (
    "id,name,language,category,status,parameter_format,quality_score,rejected_reason,components"
)
_TIERS = {"50": 50, "250": 250, "1K": 1000, "2K": 2000, "10K": 10_000, "100K": 100_000}
_PER_SECOND = {"STANDARD": 80, "HIGH": 1000}
_PAGE = 100
_MOST_PAGES = 100
# Business-scoped user id: country, dot, opaque part. Its owner may have no visible phone number.
_BUSINESS_SCOPED_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]+")
_PHONE_PUNCTUATION = re.compile(r"[+\s().-]")


class CloudApi:
    """Satisfies ``WhatsAppGateway`` and ``MessageGateway``; holds no credential and no state."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def send(
        self, account: WhatsAppAccount, to: str, message: OutboundMessage, *, reference: str
    ) -> SentMessage:
        """``to`` is a phone number, punctuation ignored, or a business-scoped user id."""
        payload = {**_PRODUCT, "recipient_type": "individual", **address(to), **message.wire()}
        if reference:
            payload["biz_opaque_callback_data"] = reference
        found = await self._graph.ask(
            account, "POST", account.phone_number_id, "messages", json=payload
        )
        return sent_of(found)

    async def send_text(
        self, *, credentials: MessagingCredentials, to: str, text: str, reference: str
    ) -> SentMessage:
        """Free words of whoever has credentials and no number with us."""
        account = WhatsAppAccount(credentials.token, credentials.sender)
        # Not checked: what is too long is the vendor's to refuse, in its own words.
        message = TextMessage(text=Text.model_construct(body=text, preview_url=False))
        return await self.send(account, to, message, reference=reference)

    async def mark_read(
        self, account: WhatsAppAccount, message_id: str, *, typing: bool = False
    ) -> None:
        payload: dict[str, Any] = {**_PRODUCT, "status": "read", "message_id": message_id}
        if typing:
            payload["typing_indicator"] = {"type": "text"}
        await self._graph.ask(account, "POST", account.phone_number_id, "messages", json=payload)

    async def upload(
        self, account: WhatsAppAccount, *, name: str, media_type: str, content: bytes | BinaryIO
    ) -> str:
        found = await self._graph.ask(
            account,
            "POST",
            account.phone_number_id,
            "media",
            deadline_s=TRANSFER_S,
            data={**_PRODUCT, "type": media_type},
            files={"file": (name, content, media_type)},
        )
        return str(found["id"])

    async def upload_session(
        self, account: WhatsAppAccount, *, name: str, media_type: str, size: int
    ) -> str:
        params = {"file_name": name, "file_length": str(size), "file_type": media_type}
        # ``app``: the application that the token belongs to.
        found = await self._graph.ask(account, "POST", "app", "uploads", params=params)
        return str(found["id"])

    async def upload_sample(
        self, account: WhatsAppAccount, session: str, content: bytes, offset: int
    ) -> str:
        found = await self._graph.ask(
            account, "POST", session, deadline_s=TRANSFER_S, content=content,
            headers={"file_offset": str(offset), "content-type": "application/octet-stream"},
        )  # fmt: skip
        return str(found["h"])

    async def upload_offset(self, account: WhatsAppAccount, session: str) -> int:
        found = await self._graph.ask(account, "GET", session)
        return int(found.get("file_offset", 0))

    async def media(self, account: WhatsAppAccount, media_id: str) -> MediaInfo:
        found = await self._graph.ask(
            account, "GET", media_id, params={"phone_number_id": account.phone_number_id}
        )
        size = str(found.get("file_size", ""))
        return MediaInfo(
            str(found.get("id", media_id)),
            str(found.get("url", "")),
            str(found.get("mime_type", "")),
            str(found.get("sha256", "")),
            int(size) if size.isdecimal() else None,
        )

    def download(
        self, account: WhatsAppAccount, url: str, *, most: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._graph.stream(account, url, most)

    async def delete_media(self, account: WhatsAppAccount, media_id: str) -> None:
        await self._graph.ask(account, "DELETE", media_id)

    async def number(self, account: WhatsAppAccount) -> RemoteNumber:
        found = await self._graph.ask(
            account, "GET", account.phone_number_id, params={"fields": _NUMBER_FIELDS}
        )
        return _number(found)

    async def numbers(self, account: WhatsAppAccount) -> list[RemoteNumber]:
        pages = self._pages(account, "phone_numbers", _NUMBER_FIELDS)
        return [_number(row) async for page in pages for row in page]

    async def register(self, account: WhatsAppAccount, pin: str) -> None:
        payload = {**_PRODUCT, "pin": pin}
        await self._graph.ask(account, "POST", account.phone_number_id, "register", json=payload)

    async def block(self, account: WhatsAppAccount, user: str, *, blocked: bool = True) -> None:
        payload = {**_PRODUCT, "block_users": [{"user": user}]}
        method = "POST" if blocked else "DELETE"
        await self._graph.ask(account, method, account.phone_number_id, "block_users", json=payload)

    async def templates(self, account: WhatsAppAccount) -> AsyncIterator[list[RemoteTemplate]]:
        async for page in self._pages(account, "message_templates", _TEMPLATE_FIELDS):
            yield [_template(row) for row in page]

    async def create_template(
        self, account: WhatsAppAccount, definition: Mapping[str, JsonValue]
    ) -> tuple[str, str, str]:
        found = await self._graph.ask(
            account, "POST", account.waba_id, "message_templates", json=dict(definition)
        )
        category = str(found.get("category") or definition["category"])
        return str(found["id"]), str(found.get("status", "PENDING")).lower(), category.lower()

    async def edit_template(
        self, account: WhatsAppAccount, vendor_id: str, definition: Mapping[str, JsonValue]
    ) -> None:
        await self._graph.ask(account, "POST", vendor_id, json=dict(definition))

    async def delete_template(
        self, account: WhatsAppAccount, name: str, vendor_id: str | None
    ) -> None:
        params = {"name": name} | ({"hsm_id": vendor_id} if vendor_id else {})
        await self._graph.ask(
            account, "DELETE", account.waba_id, "message_templates", params=params
        )

    async def _pages(
        self, account: WhatsAppAccount, edge: str, fields: str
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        params = {"fields": fields, "limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            found = await self._graph.ask(account, "GET", account.waba_id, edge, params=params)
            rows = found.get("data")
            yield [mapping(row) for row in rows] if isinstance(rows, list) else []
            paging = mapping(found.get("paging"))
            after = mapping(paging.get("cursors")).get("after")
            # The last page has a cursor, too, but no next one.
            if not after or "next" not in paging:
                return
            params["after"] = str(after)
        raise refused("too-many-pages", f"{edge} did not end after {_MOST_PAGES} pages")


def address(to: str) -> dict[str, JsonValue]:
    """The recipient in the vendor's words: ``recipient`` for a user id, ``to`` for digits."""
    if _BUSINESS_SCOPED_ID.fullmatch(to):
        return {"recipient": to}
    return {"to": _PHONE_PUNCTUATION.sub("", to)}


def sent_of(found: Mapping[str, Any]) -> SentMessage:
    """What was accepted. Raises GatewayOutcomeUnknown when the answer does not name it."""
    match found:
        case {"messages": [{"id": str(wamid), **message}, *_], **rest}:
            # ``contacts`` is documented and yet missing from some accepted sends.
            match rest.get("contacts"):
                case [{"wa_id": str(wa_id)}, *_]:
                    resolved: str | None = wa_id.strip()
                case _:
                    resolved = None
            return SentMessage(wamid, resolved, str(message.get("message_status", "accepted")))
    raise GatewayOutcomeUnknown(VENDOR, "accepted without a message id")


def _number(row: Mapping[str, Any]) -> RemoteNumber:
    limit = row.get("whatsapp_business_manager_messaging_limit") or row.get("messaging_limit_tier")
    throughput = str(mapping(row.get("throughput")).get("level", "")).upper()
    name = row.get("verified_name")
    return RemoteNumber(
        id=str(row.get("id", "")),
        display_phone=str(row.get("display_phone_number", "")),
        verified_name=None if name is None else str(name),
        quality=str(row.get("quality_rating", "unknown")).lower(),
        status=str(row.get("status", "unknown")).lower(),
        messaging_limit=_TIERS.get(str(limit).upper().removeprefix("TIER_")),
        tells_limit=limit is not None,
        per_second=_PER_SECOND.get(throughput),
    )


def _template(row: Mapping[str, Any]) -> RemoteTemplate:
    reason = str(row.get("rejected_reason") or "NONE")
    components = row.get("components")
    return RemoteTemplate(
        id=str(row.get("id", "")),
        name=str(row.get("name", "")),
        language=str(row.get("language", "")),
        category=str(row.get("category", "")).lower(),
        status=str(row.get("status", "pending")).lower(),
        parameter_format=str(row.get("parameter_format") or "positional").lower(),
        quality=str(mapping(row.get("quality_score")).get("score", "unknown")).lower(),
        reason=None if reason.upper() == "NONE" else reason,
        components=tuple(mapping(c) for c in components) if isinstance(components, list) else (),
    )
