"""What such a shop has beside its orders: chats, notices, deliveries of webhooks, imports..."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.clock import now
from app.core.ids import new_id
from scripts.benchmarks.bulk import Row

CONVERSATIONS, MESSAGES_EACH = 50_000, 10
_PREVIEW = json.dumps(
    {"files": [], "sample": [], "readable": 0, "skipped": 0, "failed": 0, "failures": []}
)
# Nobody logs in or signs with these.
_SEALED: dict[str, Row] = {
    "users": {"password_hash": "x"},
    "whatsapp_numbers": {"token": "x", "app_secret": "x", "verify_token": "x"},
    "webhook_endpoints": {"secret": "x"},
}
_WORDS = ("pedido", "entrega", "pizza", "obrigada", "troco", "atrasado", "cardápio", "endereço")


@dataclass(frozen=True)
class Shop:
    """Whose rows they are."""

    tenant: UUID
    owner: UUID
    stores: list[UUID]
    products: list[UUID]
    contacts: list[UUID]
    categories: list[UUID]


Table = tuple[str, list[Row]]


def _id(at: datetime, chance: random.Random) -> UUID:
    head = int(at.timestamp() * 1000) << 80 | 7 << 76 | chance.getrandbits(12) << 64
    return UUID(int=head | 2 << 62 | chance.getrandbits(62))


def _times(count: int, chance: random.Random) -> list[datetime]:
    today = now()
    return sorted(today - timedelta(seconds=chance.randrange(180 * 86_400)) for _ in range(count))


def rest(shop: Shop, chance: random.Random, share: float) -> Iterator[Table]:
    """All the tables, in an order in which each has what it refers to."""
    yield from _team(shop)
    yield from _chats(shop, chance, max(200, int(CONVERSATIONS * share)))
    yield from _of_contacts(shop, chance)
    yield from _stock(shop, chance)
    yield from _catalogue(shop)
    yield from _told(shop, chance, max(1000, int(200_000 * share)))
    yield from _kept(shop, chance, max(500, int(20_000 * share)))


def _rows(shop: Shop, count: int, chance: random.Random, **columns: object) -> list[Row]:
    """Rows of the same columns; a callable is asked for each row, with its number."""
    return [
        {
            "tenant_id": shop.tenant,
            "id": _id(at, chance),
            "created_at": at,
            **{k: v(n) if callable(v) else v for k, v in columns.items()},
        }
        for n, at in enumerate(_times(count, chance))
    ]


def _team(shop: Shop) -> Iterator[Table]:
    chance = random.Random(5)
    users = _rows(
        shop, 40, chance, email=lambda n: f"gente{n}@volume.example", name=lambda n: f"Gente {n}",
        role="agent", **_SEALED["users"],
    )  # fmt: skip
    yield "users", users
    yield "groups", _rows(shop, 30, chance, name=lambda n: f"Grupo {n}")
    yield "departments", _rows(shop, 30, chance, name=lambda n: f"Setor {n}")
    yield (
        "canned_replies",
        _rows(shop, 200, chance, shortcut=lambda n: f"r{n}", text="Oi! Já vamos ver."),
    )


def _chats(shop: Shop, chance: random.Random, count: int) -> Iterator[Table]:
    numbers = _rows(
        shop, 2, chance, name=lambda n: f"Número {n}", waba_id="1", display_phone="+5511940028922",
        phone_number_id=lambda n: f"volume-{n}", **_SEALED["whatsapp_numbers"],
    )  # fmt: skip
    yield "whatsapp_numbers", numbers
    yield "message_templates", _rows(
        shop, 300, chance, waba_id="1", name=lambda n: f"modelo_{n}", language="pt_BR",
        category=lambda n: ("marketing", "utility")[n % 2], components="[]",
        status=lambda n: ("approved", "rejected")[n % 9 == 0],
    )  # fmt: skip
    people = chance.sample(shop.contacts, min(count, len(shop.contacts)))
    number = numbers[0]["id"]
    chats = _rows(
        shop, len(people), chance, contact_id=lambda n: people[n], number_id=number,
        status=lambda n: ("closed", "archived", "closed", "open", "pending")[n % 5],
        assignee_id=lambda n: shop.owner if n % 7 == 0 else None,
        labels=lambda n: ["vip"] if n % 50 == 0 else [], unread_count=lambda n: int(n % 11 == 0),
        last_message_text="obrigada",
    )  # fmt: skip
    for chat in chats:
        chat["last_message_at"] = chat["created_at"]
        chat["last_inbound_at"] = chat["created_at"]
    yield "conversations", chats
    said = [chats[chance.randrange(len(chats))] for _ in range(len(chats) * MESSAGES_EACH)]
    texts = [" ".join(chance.choices(_WORDS, k=5)) for _ in range(5_000)]
    messages = _rows(
        shop, len(said), chance, conversation_id=lambda n: said[n]["id"], number_id=number,
        contact_id=lambda n: said[n]["contact_id"], direction=lambda n: ("in", "out")[n % 2],
        author=lambda n: ("contact", "user")[n % 2], kind="text",
        text=lambda n: f"{texts[n % 5000]} {n}", wamid=lambda n: f"wamid.{n}",
        status=lambda n: ("received", "delivered")[n % 2],
    )  # fmt: skip
    for message in messages:
        message["provider_at"] = message["created_at"]
    yield "messages", messages
    yield "conversation_notes", _rows(
        shop, len(chats) // 10, chance, conversation_id=lambda n: chats[n % 100]["id"],
        author_name="Gente 1", text="Ligou de novo.",
    )  # fmt: skip


def _of_contacts(shop: Shop, chance: random.Random) -> Iterator[Table]:
    some = shop.contacts[: max(1, len(shop.contacts) // 10)]
    tags = _rows(
        shop, 60, chance, name=lambda n: f"Etiqueta {n}", folded=lambda n: f"etiqueta {n}",
        color="#ff8800",
    )  # fmt: skip
    yield "tags", tags
    yield (
        "contact_tags",
        _rows(
            shop,
            len(some),
            chance,
            contact_id=lambda n: some[n],
            tag_id=lambda n: tags[n % 60]["id"],
        ),
    )
    yield "contact_attributes", _rows(shop, 1, chance, key="tamanho", label="Tamanho", kind="text")
    yield "contact_notes", _rows(
        shop, len(some), chance, contact_id=lambda n: some[n % 500], author_name="Gente 1",
        text="Prefere sem cebola.",
    )  # fmt: skip
    consents = _rows(
        shop, len(some), chance, contact_id=lambda n: some[n], channel="whatsapp", category="all",
        is_opt_in=True, source="checkout", actor_name="storefront",
    )  # fmt: skip
    for one in consents:
        one["decided_at"] = one["created_at"]
    yield "consent_entries", consents
    yield "customer_addresses", _rows(
        shop, len(some), chance, contact_id=lambda n: some[n], postal_code="05422010",
        address=json.dumps({"city": "São Paulo", "street": "Rua A", "number": "1"}),
    )  # fmt: skip
    yield (
        "segments",
        _rows(
            shop,
            60,
            chance,
            name=lambda n: f"Grupo {n}",
            expression=json.dumps({"field": "last_order_at", "op": "within_days", "days": 30}),
        ),
    )


def _stock(shop: Shop, chance: random.Random) -> Iterator[Table]:
    counts = _rows(
        shop, 400, chance, store_id=lambda n: shop.stores[n % len(shop.stores)], status="closed",
        opened_by="Dona",
    )  # fmt: skip
    yield "stock_counts", counts
    counted = [(count["id"], p) for count in counts[-12:] for p in shop.products]
    yield "stock_count_lines", _rows(
        shop, len(counted), chance, count_id=lambda n: counted[n][0], item_kind="product",
        item_id=lambda n: counted[n][1], opened_on_hand=5,
    )  # fmt: skip


def _catalogue(shop: Shop) -> Iterator[Table]:
    chance = random.Random(6)
    yield "modifier_groups", _rows(shop, 500, chance, name=lambda n: f"Adicionais {n}")
    gone = _rows(
        shop, 2_000, chance, category_id=lambda n: shop.categories[n % len(shop.categories)],
        name=lambda n: f"Antigo {n}", slug=lambda n: f"antigo-{n}", price_cents=900,
    )  # fmt: skip
    for product in gone:
        product["deleted_at"] = product["created_at"]
    yield "products", gone


def _told(shop: Shop, chance: random.Random, count: int) -> Iterator[Table]:
    notices = _rows(
        shop, count, chance, user_id=shop.owner, event_id=lambda n: new_id(), kind="order_placed",
        title="Pedido novo", body="Pedido 12", read_at=lambda n: now() if n % 10 else None,
    )  # fmt: skip
    yield "notices", notices
    yield "notice_deliveries", _rows(
        shop, count, chance, notice_id=lambda n: notices[n]["id"], target_id=shop.owner,
        channel=lambda n: ("email", "telegram")[n % 2],
        state=lambda n: "failed" if n % 4_999 == 0 else "sent",
    )  # fmt: skip
    yield "notifications", _rows(
        shop, count, chance, channel="whatsapp", dedupe_key=lambda n: f"k{n}",
        recipient="+5511987654321", body="Seu pedido saiu.",
        state=lambda n: "failed" if n % 4_999 == 0 else "sent",
    )  # fmt: skip
    endpoints = _rows(
        shop, 5, chance, url=lambda n: f"https://erp.example/{n}", events=lambda n: ["*"],
        **_SEALED["webhook_endpoints"],
    )  # fmt: skip
    yield "webhook_endpoints", endpoints
    yield "webhook_deliveries", _rows(
        shop, count, chance, endpoint_id=lambda n: endpoints[n % 5]["id"],
        event_id=lambda n: new_id(), type="commerce.order_placed", payload="{}",
        state=lambda n: "failed" if n % 4_999 == 0 else "succeeded",
    )  # fmt: skip


def _kept(shop: Shop, chance: random.Random, count: int) -> Iterator[Table]:
    yield "files", _rows(
        shop, count, chance, key=lambda n: f"t/{shop.tenant}/{n}.jpg", media_type="image/jpeg",
        size_bytes=1000, sha256=lambda n: f"{n:064d}", original_name="foto.jpg",
    )  # fmt: skip
    yield "letters", _rows(
        shop, count, chance, reference=lambda n: f"r{n}", template="invitation",
        recipient="a@volume.example", state=lambda n: "failed" if n % 4_999 == 0 else "sent",
    )  # fmt: skip
    imports = _rows(
        shop, 2_000, chance, kind=lambda n: ("products", "customers")[n % 2], status="done",
        preview=_PREVIEW,
    )  # fmt: skip
    yield "imports", imports
    schedules = _rows(
        shop, 60, chance, name=lambda n: f"Todo dia {n}", cron="0 3 * * *", timezone="UTC",
        entrypoint="x", is_enabled=False, decided_until=now(),
    )  # fmt: skip
    yield "schedules", schedules
    runs = _rows(
        shop, count, chance, schedule_id=lambda n: schedules[n % 60]["id"], state="succeeded",
        tick=lambda n: now() - timedelta(minutes=n), ended_at=now(),
    )  # fmt: skip
    yield "schedule_runs", runs
    yield "invitations", _rows(
        shop, 300, chance, email=lambda n: f"c{n}@volume.example", role="agent", invited_by="Dona",
        token_hash=lambda n: n.to_bytes(32, "big"), state="accepted", expires_at=now(),
    )  # fmt: skip
    yield "api_keys", _rows(
        shop, 200, chance, name=lambda n: f"Chave {n}", prefix="lk", scopes=lambda n: [],
        key_hash=lambda n: n.to_bytes(32, "big"), created_by=shop.owner,
    )  # fmt: skip
