"""Every job there is, killed at named points: the tenant ends where one does that nobody killed."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app.commerce.inventory.models import StockLevel
from app.commerce.payments.models import Payment
from app.contracts.contacts import ContactBlockChanged
from app.conversations.carts.models import WhatsAppCart
from app.conversations.hours.models import InboxHours
from app.conversations.inbox.models import Conversation
from app.core.clock import now
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from app.kernel.mail.service import MailService
from app.kernel.merging.service import MergeService
from app.kernel.work import Runtime
from app.tables import METADATA, SYSTEM_TABLES
from app.wiring import JOBS
from tests.conftest import ROOT
from tests.conversations.inbound.line import envelope, make_line, post
from tests.factories.commerce import key, make_shop
from tests.factories.conversations import incoming, make_chat, make_contact, make_number
from tests.factories.notices import NOTICES, browser, connect_bot, vendors
from tests.factories.pictures import png
from tests.factories.receiver import Receiver, receiving
from tests.factories.sending import owe, text
from tests.factories.tenants import World, make_world
from tests.kernel.conftest import ClientOf, client_of
from tests.kernel.queue_probe import queue, system
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url

__all__ = ["client_of", "http", "sandbox", "sandbox_url"]

POINTS = ("begun", "written 1", "written 2", "done")
ELSEWHERE = {
    "commerce.imports.apply": "tests/faults/test_imports_sigkill.py",
    "commerce.payments.refund": "tests/faults/test_payments_sigkill.py",
}
"""Jobs whose points between us and the vendor have a test of their own, and need its vendor."""
NOTHING_WRITTEN = {"saas.central.erase_left_files": {"written 1"}}
"""It removes files of a tenant that is gone, and opens no Work."""
SCHEDULED = ("commerce.inventory.low_stock_report", "commerce.inventory.check",
    "contacts.rescore", "conversations.templates.sync_all")  # fmt: skip
SAME = {"unknown": "sent", "sending": "sent", "accepted": "sent"}
"""Who dies between the vendor and us does not know: what matters is that it is not asked twice."""
NOT_COMPARED = {"idempotency_records"}


async def stage(
    world: World, client_of: ClientOf, anonymous: httpx.AsyncClient, sandbox: SandboxServer,
    receiver: Receiver,
) -> None:  # fmt: skip
    """Have a job of every kind wait for this tenant."""
    owner = await client_of(world, world.owner)
    await connect_bot(world)
    async with world.work() as work:
        account = ConnectionPut(
            config={"phone_number_id": "109876543210987"},
            secret={"access_token": "EAAGtokenOfShop"},
        )
        await ConnectionService(work).put("whatsapp", account)
    device = await owner.post(f"{NOTICES}/devices", json=await browser(sandbox))
    assert device.status_code == 201
    wanted = {"kinds": {"commerce.order_placed": {"email": True}}}
    assert (await owner.put(f"{NOTICES}/preferences", json=wanted)).is_success
    hook = {"url": receiver.url, "events": ["*"]}
    made = await owner.post("/api/v1/admin/webhooks", json=hook, headers=key())
    assert made.status_code == 201, made.text

    shop = await make_shop(world)
    pizza = await shop.product("Pizza calabresa", 4990, stock=3)
    async with world.work() as work:
        level = (await work.session.scalars(select(StockLevel))).one()
        level.low_at = 5
    order = await owner.post("/api/v1/checkout", json=shop.cart(pizza), headers=key())
    assert order.status_code == 201, order.text
    # What was placed is told through the inbox, as there is a number.
    told = {"order_id": order.json()["id"], "after": "confirmed"}
    await queue(world, "conversations.notifications.order_whatsapp", told)
    async with world.runtime.database.system_driver() as driver:
        await driver.execute(
            "UPDATE orders SET placed_at = now() - interval '3 days' WHERE tenant_id = $1",
            world.tenant.id,
        )
    await queue(world, "commerce.insights.roll_up", {})
    customer = await sandbox.http.post(
        f"{sandbox.url}/stripe/v1/customers",
        data={"email": "ana@example.com", "metadata[tenant_id]": str(world.tenant.id)},
        headers={"authorization": "Bearer sk_test_largo"},
    )
    assert customer.is_success, customer.text
    async with world.runtime.database.system_driver() as driver:
        await driver.execute(
            "INSERT INTO billing_accounts (id, customer_id) VALUES ($1, $2)",
            world.tenant.id, customer.json()["id"],
        )  # fmt: skip
    await queue(world, "saas.billing.reconcile", {})
    async with world.work() as work:
        payment = (await work.session.scalars(select(Payment))).one()
        await queue(world, "commerce.payments.close_intent", {"payment_id": str(payment.id)})
    for entrypoint in SCHEDULED:
        body = {"name": entrypoint, "cron": "0 7 * * *", "entrypoint": entrypoint}
        found = await owner.post("/api/v1/admin/schedules", json=body, headers=key())
        assert found.status_code == 201, found.text
        url = f"/api/v1/admin/schedules/{found.json()['id']}/runs"
        assert (await owner.post(url, headers=key())).is_success

    async with world.work() as work:
        await MailService(work).send(
            "password_changed", to="ana@example.com", reference=str(world.tenant.id),
            facts={"name": "Ana", "organization": "Largo"},
        )  # fmt: skip
    upload = await owner.post(
        "/api/v1/admin/files", files={"file": ("a.png", png(), "image/png")}, headers=key()
    )
    assert upload.status_code == 201, upload.text
    async with world.runtime.database.system_driver() as driver:
        await driver.execute(
            "UPDATE files SET touched_at = now() - interval '90 days' WHERE tenant_id = $1",
            world.tenant.id,
        )
    await queue(world, "kernel.files.clean", {})
    await queue(world, "saas.central.erase_left_files", {"keys": ["public/none/of-these.png"]})
    await _conversations(world, anonymous)
    await _carts(world, pizza)


async def _carts(world: World, pizza: UUID) -> None:
    """A cart that nobody has read yet, one whose buyer has chosen, and nobody there."""
    chat = await make_chat(world, number_id=await make_number(world, cart_store="centro"))
    item = {"product_retailer_id": str(pizza), "quantity": 1}
    content = {"order": {"product_items": [item]}}
    new, asked = [await incoming(chat, "-", kind="order", content=content) for _ in range(2)]
    async with world.work() as work:
        offered = {"pickup": 4990}
        cart = WhatsAppCart(id=asked.id, store="centro", state="offered", offered=offered)
        work.session.add(cart)
        timezone = "America/Sao_Paulo"
        work.session.add(InboxHours(number_id=chat.number_id, timezone=timezone, hours=[]))
    reply = {"type": "button_reply", "button_reply": {"id": f"cart:{asked.id}:pickup"}}
    pressed = await incoming(chat, "-", kind="interactive", content={"interactive": reply})
    await queue(world, "conversations.hours.away", {"conversation_id": str(chat.id)})
    await queue(world, "conversations.carts.received", {"message_id": str(new.id)})
    await queue(world, "conversations.carts.answered", {"message_id": str(pressed.id)})


async def _conversations(world: World, anonymous: httpx.AsyncClient) -> None:
    line = await make_line(world)
    picture = line.message("image", image={"id": "77", "mime_type": "image/jpeg"})
    await line.deliver(anonymous, line.change(messages=[line.message(), picture]))
    notice = {"event": "APPROVED", "message_template_name": "ola", "message_template_id": 1}
    approved = {"field": "message_template_status_update", "value": notice}
    answer = await post(anonymous, envelope(line.entry(approved)), line.secret)
    assert answer.status_code == 200
    await queue(world, "conversations.templates.sync", {"waba_id": line.waba_id})
    first, second = [(await make_contact(world, name))[0] for name in ("Ana", "Ana Souza")]
    async with world.work() as work:
        await MergeService(work).merge(first, second, "twins")
    chat = await make_chat(world)
    await owe(chat, text("Seu pedido saiu."))
    until = now() + timedelta(hours=1)
    async with world.work() as work:
        row = await work.session.get_one(Conversation, chat.id)
        row.snoozed_until = until
        work.publish(ContactBlockChanged(contact_id=chat.contact_id, is_blocked=False))
    woken = {"conversation_id": str(chat.id), "until": until.isoformat()}
    await queue(world, "conversations.inbox.wake", woken)
    mark = {"number_id": str(chat.number_id), "wamid": "wamid.none", "is_typing": False}
    await queue(world, "conversations.sending.mark_read", mark)
    await queue(world, "conversations.media.clean", {"cleanup_id": None})


async def run(environment: dict[str, str], world: World, deaths: Path) -> None:
    """The worker, life after life, until no job of the tenant is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.every_job_runner", str(world.tenant.id), str(deaths),
        cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]


async def state(world: World) -> dict[str, Counter[str]]:
    """How many rows there are of each kind and standing, in every table of the tenant's."""
    found = {}
    async with world.runtime.database.system_driver() as driver:
        for table in METADATA.sorted_tables:
            if table.name in SYSTEM_TABLES or table.name in NOT_COMPARED:
                continue
            named = [c for c in ("state", "status", "kind", "action", "type") if c in table.columns]
            words = " || ' ' || ".join(f"coalesce({c}::text, '')" for c in named) or "''"
            rows = await driver.fetch(
                f"SELECT {words} AS words FROM {table.name} WHERE tenant_id = $1",  # noqa: S608
                world.tenant.id,
            )
            found[table.name] = Counter(
                " ".join(SAME.get(word, word) for word in row["words"].split())
                for row in rows
                if not row["words"].strip().endswith(".unknown")
            )
    return {name: rows for name, rows in found.items() if rows}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.mark.timeout(300)
async def test_every_job_killed_at_every_point_ends_where_the_unhurt_one_does(
    runtime: Runtime, environment: dict[str, str], sandbox: SandboxServer, client_of: ClientOf,
    anonymous: httpx.AsyncClient, receiver: Receiver, tmp_path: Path,
) -> None:  # fmt: skip
    settings = {name.upper(): str(value) for name, value in (await vendors(sandbox)).items()}
    settings["WHATSAPP_GRAPH_BASE_URL"] = f"{sandbox.url}/graph"
    settings |= {"WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    settings |= {"WORKER_CONCURRENCY": "64", "STRIPE_API_BASE_URL": f"{sandbox.url}/stripe"}
    settings["STRIPE_SECRET_KEY"] = "sk_test_largo"
    ends, calls = [], []
    for name in ("unhurt", "killed"):
        world = await make_world(runtime)
        await sandbox.reset()
        receiver.got.clear()
        await stage(world, client_of, anonymous, sandbox, receiver)
        deaths = tmp_path / name
        if name == "unhurt":
            everywhere = [f"{job} {point}\n" for job in JOBS for point in POINTS]
            deaths.write_text("".join(everywhere))
        await run(environment | settings, world, deaths)
        ends.append(await state(world))
        asked = Counter(str(r["vendor"]) for r in await sandbox.requests(limit="500") if r["to"])
        asked["webhook"] = len({got.headers["webhook-id"] for got in receiver.got})
        calls.append(asked)
    places = set((tmp_path / "killed").read_text().splitlines())
    for job in set(JOBS) - set(ELSEWHERE):
        stood = {point for point in POINTS if f"{job} {point}" in places}
        assert stood >= {"begun", "done"} | ({"written 1"} - NOTHING_WRITTEN.get(job, set())), job
    held = await system(
        runtime, "SELECT entrypoint FROM pgqueuer WHERE status = 'failed' "
        "AND convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'", str(world.tenant.id),
    )  # fmt: skip
    assert held == []
    assert ends[1] == ends[0]
    # Nothing is asked of a vendor twice. Who was cut off before the vendor heard is ``unknown``.
    assert calls[1] <= calls[0]
    assert calls[1]["webhook"] == calls[0]["webhook"]
