"""Names that are nobody's, a conversation with all that is its own, an agent's checkout."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx

from app.commerce.ucp.models import UcpSession
from app.conversations.inbox.models import Message, MessageMedia
from app.core.clock import now
from tests.factories.commerce import key
from tests.factories.conversations import make_number
from tests.factories.tenants import World

NOBODYS = {
    "connections/provider": "whatsapp",
    "providers/provider": "google",
    "signature-providers/provider": "clicksign",
    "problems/code": "not-found",
    "plans/code": "free",
    "order-messages/fact": "ready",
    "messaging/channel": "whatsapp",
    "stripe/slug": "nobodys-shop",
    "whatsapp/slug": "nobodys-shop",
}
"""Names that every tenant uses alike."""


class Kept(Protocol):
    """As much of ``Belongings`` as is filled here."""

    world: World
    mark: str
    in_path: dict[str, str]
    in_body: dict[str, str]


async def one_of_each(found: Kept, owner: httpx.AsyncClient) -> None:
    """Fill ``in_path`` and ``in_body``."""
    world, mark = found.world, found.mark
    contact_id = found.in_path["contacts/contact_id"]

    async def made(path: str, body: dict[str, Any]) -> str:
        answer = await owner.post(f"/api/v1{path}", json=body, headers=key())
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    number = await make_number(world)
    chat = await made("/conversations", {"contact_id": contact_id, "number_id": str(number)})
    async with world.work() as work:
        message = Message(
            conversation_id=UUID(chat), number_id=number, contact_id=UUID(contact_id),
            direction="in", author="contact", kind="text", text=f"Oi {mark}",
            status="received", wamid=f"wamid.{mark}", provider_at=now(),
        )  # fmt: skip
        work.session.add(message)
        await work.session.flush()
        medium = MessageMedia(
            message_id=message.id, state="failed", reason="unavailable", vendor_media_id="1",
            expires_at=now() + timedelta(days=7), original_name=f"{mark}.pdf",
        )  # fmt: skip
        work.session.add(medium)
    upload = await owner.post(
        "/api/v1/message-uploads?kind=document",
        files={"file": (f"{mark}.txt", mark.encode(), "text/plain")},
    )
    assert upload.is_success, upload.text
    await made(f"/conversations/{chat}/notes", {"text": f"Nota {mark}"})
    hours = {"number_id": str(number), "timezone": "America/Sao_Paulo", "hours": []}
    attended = await owner.put("/api/v1/inbox-hours", json=hours | {"away_text": f"Volto {mark}"})
    assert attended.is_success, attended.text
    credential = await made("/admin/open-delivery/credentials", {"name": f"PDV {mark}"})
    found.in_path |= {
        "credentials/credential_id": credential,
        "conversations/conversation_id": chat,
        "messages/message_id": str(message.id),
        "message-uploads/upload_id": upload.json()["id"],
        "canned-replies/canned_reply_id": await made(
            "/canned-replies", {"shortcut": mark, "text": "Oi!"}
        ),
        "inbox-hours/inbox_hours_id": attended.json()["id"],
        "checkout-sessions/checkout_session_id": await _an_agents_checkout(found, owner),
    }
    found.in_body |= {
        "number_id": str(number), "conversation_id": chat, "message_id": str(message.id),
    }  # fmt: skip


async def _an_agents_checkout(found: Kept, owner: httpx.AsyncClient) -> str:
    """A session of a shop that lets agents in."""
    settings = {"is_enabled": True, "store": found.in_body["store"]}
    page = {"storefront_url": f"https://{found.mark}.example"}
    opened = await owner.put("/api/v1/admin/ucp", json=settings | page)
    assert opened.is_success, opened.text
    wanted = {"line_items": [{"id": "li_1", "item": {"id": found.mark}, "quantity": 1}]}
    async with found.world.work() as work:
        session = UcpSession(
            id=uuid4(), platform="https://platform.example/.well-known/ucp",
            asked=wanted | {"buyer": {"first_name": found.mark}},
            expires_at=now() + timedelta(hours=6),
        )  # fmt: skip
        work.session.add(session)
    found.in_body["item.id"] = found.in_body["product_id"]
    return str(session.id)
