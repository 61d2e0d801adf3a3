"""WhatsApp's deliveries at the rate of a busy platform: how soon they are taken, and that all are.

320 signed deliveries a second for a minute to 20 numbers, three statuses to every message, while
the worker of the same process applies them (spec/conversations.md; open loop: a slow answer holds
nobody up and counts from when it was due). A number's ``accepted`` messages become ``read``.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from app.conversations.inbound.intake import signed
from app.core.crypto import Vault
from app.core.ids import new_id
from scripts.benchmarks import load, pg
from scripts.benchmarks.contests import Bench, Outcome, limit, make_shops, product, turn
from scripts.benchmarks.contests import Contender as Sender
from scripts.benchmarks.data import request
from scripts.benchmarks.load import Answers, Target
from scripts.benchmarks.report import Series
from scripts.local.console import step

PER_SECOND, SECONDS = 320, 60
NUMBERS, PEOPLE, CONNECTIONS = 20, 200, 64
P99_GATE_MS, APPLIED_GATE_S = 250.0, 60.0
STATUSES = ("sent", "delivered", "read")
BEGAN = 1_790_000_000

_NUMBER = """
INSERT INTO whatsapp_numbers (tenant_id, id, name, waba_id, phone_number_id, display_phone, token,
  app_secret, verify_token)
VALUES ($1, $2, 'Loja', $3, $4, '+551130000000', $5, $6, $5)
"""
_PERSON = """
WITH person AS (
  INSERT INTO contacts (tenant_id, id, name, phone, source)
  VALUES ($1, $2, 'Maria da Silva', '+' || $3::text, 'whatsapp')
), named AS (
  INSERT INTO contact_identities (tenant_id, id, contact_id, kind, value)
  VALUES ($1, $2, $2, 'wa_id', $3)
)
INSERT INTO conversations (tenant_id, id, contact_id, number_id) VALUES ($1, $2, $2, $4)
"""
_SENT = """
INSERT INTO messages (tenant_id, id, conversation_id, number_id, contact_id, direction, author,
  kind, text, wamid, status, provider_at)
VALUES ($1, $2, $3, $4, $3, 'out', 'user', 'text', 'Seu pedido saiu.', $5, 'accepted', now())
"""
_KEPT = """
SELECT count(*), count(*) FILTER (WHERE state = 'done') FROM inbox_messages
WHERE provider = 'whatsapp'
"""
_APPLIED = """
SELECT (SELECT count(*) FROM messages WHERE direction = 'in'),
  (SELECT count(*) FROM messages WHERE direction = 'out' AND status = 'read')
"""


@dataclass(frozen=True)
class _Number:
    phone_number_id: str
    waba_id: str
    secret: str
    people: tuple[str, ...]


def ingest(bench: Bench) -> Outcome:
    """POST /api/v1/webhooks/whatsapp while the worker applies what it takes."""
    print("\nDeliveries of WhatsApp", flush=True)
    make_shops(bench)
    url = pg.database_url(bench.maintenance_url, pg.OURS)
    count = PER_SECOND * SECONDS
    with step("Numbers") as done:
        requests = asyncio.run(_prepare(url, bench.values["ENCRYPTION_KEYS"], count))
        done.note = f"{NUMBERS} numbers with {PEOPLE} people each"
    server = product(bench, worker=True)
    target = Target(server.port, requests, CONNECTIONS, PER_SECOND)

    def go(seconds: float) -> Answers:
        return load.run(target, SECONDS, core=bench.cores.client)

    with step("Deliveries") as done:
        measured = turn(bench, Sender("webhooks", go, server.pid))
        done.note = f"{measured.answers.completed} in {SECONDS} s"
    with step("Applied") as done:
        took, kept, applied = asyncio.run(_settled(url, count))
        done.note = f"{applied} of {kept}, {took:.1f} s after the last"
    bench.stop_servers()
    series = Series("webhooks: 320 signed POST/s, applied meanwhile", [measured])
    return Outcome(
        [series],
        [
            limit("webhook p99", measured.answers.p99_ms, P99_GATE_MS, " ms"),
            limit("webhooks not stored", count - kept, 0, ""),
            limit("webhooks not applied", count - applied, 0, ""),
            limit("applied after the last", took, APPLIED_GATE_S, " s"),
        ],
    )


async def _prepare(url: str, keys: str, count: int) -> list[bytes]:
    """Numbers with people and messages of ours; the requests that speak of them, in order."""
    vault = Vault([SecretStr(key) for key in keys.split(",")])
    connection = await asyncpg.connect(url)
    try:
        tenants = await connection.fetch(
            "UPDATE tenants SET modules = '{commerce,conversations}' WHERE id IN "
            "(SELECT id FROM tenants ORDER BY id LIMIT $1) RETURNING id",
            NUMBERS,
        )
        turns = -(-count // NUMBERS)
        numbers = [await _number(connection, vault, row["id"], turns // 4 + 1) for row in tenants]
        return [_delivery(numbers[n % NUMBERS], n // NUMBERS) for n in range(count)]
    finally:
        await connection.execute("ANALYZE")
        await connection.close()


async def _number(connection: asyncpg.Connection, vault: Vault, tenant: UUID, sent: int) -> _Number:
    people = tuple(f"55119{random.randrange(10**8):08d}" for _ in range(PEOPLE))
    made = _Number(_digits(), _digits(), secrets.token_hex(16), people)
    id_ = new_id()
    context = f"whatsapp_numbers:{tenant}:{id_}"
    token, secret = vault.encrypt("token", context), vault.encrypt(made.secret, context)
    await connection.execute(
        _NUMBER, tenant, id_, made.waba_id, made.phone_number_id, token, secret
    )
    ids = {person: new_id() for person in people}
    await connection.executemany(
        _PERSON, [(tenant, contact, person, id_) for person, contact in ids.items()]
    )
    await connection.executemany(
        _SENT,
        [
            (tenant, new_id(), ids[people[n % len(people)]], id_, _wamid(made, n))
            for n in range(sent)
        ],
    )
    return made


def _delivery(number: _Number, place: int) -> bytes:
    """The request of a number at its turn ``place``: a message, then three notices of one sent."""
    ours, step_of = divmod(place, 4)
    person = number.people[ours % len(number.people)]
    at = str(BEGAN + place)
    if step_of == 0:
        fields = {"id": f"wamid.{secrets.token_hex(12)}", "type": "text"}
        text = {"body": "Boa tarde! Ainda tem a marguerita grande?"}
        items = {"messages": [{"from": person, "timestamp": at, "text": text, **fields}]}
    else:
        notice = {"id": _wamid(number, ours), "status": STATUSES[step_of - 1]}
        items = {"statuses": [{**notice, "timestamp": at, "recipient_id": person}]}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": "551130000000",
            "phone_number_id": number.phone_number_id,
        },
        "contacts": [{"profile": {"name": "Maria da Silva"}, "wa_id": person}],
        **items,
    }
    entry = {"id": number.waba_id, "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": signed(number.secret, body),
    }
    return request("POST", "/api/v1/webhooks/whatsapp", headers, body)


def _wamid(number: _Number, sent: int) -> str:
    return f"wamid.{number.phone_number_id}.{sent}"


def _digits() -> str:
    return str(secrets.randbelow(9 * 10**14) + 10**14)


async def _settled(url: str, count: int) -> tuple[float, int, int]:
    """Seconds until the worker had applied all (or APPLIED_GATE_S and more); how many are kept,
    and how many of those have left what they should."""
    began = time.perf_counter()
    connection = await asyncpg.connect(url)
    try:
        while True:
            [(kept, applied)] = await connection.fetch(_KEPT)
            took = time.perf_counter() - began
            if applied == count or took > APPLIED_GATE_S:
                break
            await asyncio.sleep(0.2)
        [(received, read)] = await connection.fetch(_APPLIED)
        # Whoever is applied left a message, or a third of what makes one read.
        full = count // (4 * NUMBERS) * NUMBERS
        return took, kept, applied if (received, read) == (full, full) else received + 3 * read
    finally:
        await connection.close()
