"""Any shuffle, repetition, split or merge of deliveries leaves the same rows behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.kernel.work import Runtime
from app.main import Largo
from tests.conversations.inbound.line import Line, drain, envelope, make_line, post
from tests.factories.tenants import make_world

_STATE = """
SELECT json_build_object(
  'contacts', (SELECT coalesce(json_agg(json_build_array(c.name, c.phone, c.merged_into_id IS NULL,
      CASE WHEN c.merged_into_id IS NULL THEN c.last_seen_at END,
      (SELECT json_agg(i.kind || i.value ORDER BY i.kind, i.value)
        FROM contact_identities i WHERE i.tenant_id = c.tenant_id AND i.contact_id = c.id))
    ORDER BY c.phone), '[]') FROM contacts c WHERE c.tenant_id = $1),
  'threads', (SELECT json_agg(json_build_array(p.phone, v.status, v.unread_count,
      v.last_message_at, v.last_message_text, v.last_inbound_at, v.waiting_since, v.bot_paused_at,
      v.first_reply_at) ORDER BY p.phone)
    FROM conversations v JOIN contacts p ON p.tenant_id = v.tenant_id AND p.id = v.contact_id
    WHERE v.tenant_id = $1),
  'messages', (SELECT json_agg(json_build_array(m.wamid, p.phone, m.direction, m.author, m.kind,
      m.text, m.content, m.reply_to, m.status, m.provider_at, m.sent_at, m.delivered_at,
      m.read_at, m.failed_at, m.error_code, m.edited_at, m.revoked_at, m.reactions,
      a.vendor_media_id) ORDER BY m.wamid)
    FROM messages m JOIN contacts p ON p.tenant_id = m.tenant_id AND p.id = m.contact_id
    LEFT JOIN message_media a ON a.tenant_id = m.tenant_id AND a.message_id = m.id
    WHERE m.tenant_id = $1),
  'notices', (SELECT json_agg(json_build_array(wamid, status, provider_at, facts)
      ORDER BY wamid, status, provider_at) FROM message_statuses WHERE tenant_id = $1),
  'consents', (SELECT json_agg(json_build_array(channel, category, is_opt_in, source, evidence,
      decided_at) ORDER BY decided_at, evidence) FROM consent_entries WHERE tenant_id = $1)
)::text
"""
Item = tuple[str, dict[str, Any]]


def story(line: Line) -> list[Item]:
    """An afternoon: two people, media, an answer from the phone, changes, notices, a STOP, and
    one of the two goes over to a new number."""
    line.person = "5511911110001"
    asked = line.message()
    photo = line.message("image", image={"id": "77", "mime_type": "image/jpeg"})
    echo = line.message(text={"body": "Claro!"})
    echo |= {"to": echo["from"], "from": "551130000000"}
    late = line.message(text={"body": "E entrega?"})
    edit = line.message(
        "edit",
        edit={
            "original_message_id": late["id"],
            "message": {"type": "text", "text": {"body": "E entrega no centro?"}},
        },
    )
    liked = line.message("reaction", reaction={"message_id": echo["id"], "emoji": "👍"})
    unliked = line.message("reaction", reaction={"message_id": echo["id"]})
    statuses = [line.status(echo["id"], word) for word in ("delivered", "failed", "read", "failed")]
    statuses += [line.status("wamid.elsewhere", "sent")]
    moved = {"body": "mudou", "type": "user_changed_number", "wa_id": "5511911110002"}
    system = line.message("system", system=moved)
    line.person = "5511911110002"
    renewed = line.message(text={"body": "Sou eu, número novo"})
    line.person = "5511911110003"
    stop, start = line.message(text={"body": "sair"}), line.message(text={"body": "quero receber"})
    gone = line.message("revoke", revoke={"original_message_id": start["id"]})
    odd = line.message("hologram", hologram={"a": 1})
    found: list[Item] = [
        ("messages", m)
        for m in (asked, photo, late, edit, liked, unliked, system, renewed, stop, start, gone, odd)
    ]
    return [
        *found, ("message_echoes", echo), *(("statuses", status) for status in statuses)
    ]  # fmt: skip


def body(line: Line, batches: Sequence[Sequence[Item]]) -> bytes:
    """One delivery: a change for every batch, its items in their lists."""
    changes = []
    for batch in batches:
        for kind in ("messages", "message_echoes", "statuses"):
            items = [item for name, item in batch if name == kind]
            if items:
                value = line.value(**{kind: items}) | {"contacts": []}
                field = "smb_message_echoes" if kind == "message_echoes" else "messages"
                changes.append({"field": field, "value": value})
    return envelope(line.entry(*changes))


async def outcome(
    runtime: Runtime, client: httpx.AsyncClient, plan: Sequence[Sequence[int]], at_once: int
) -> Any:
    """The state after the story was delivered by this plan: which items each delivery has."""
    line = await make_line(await make_world(runtime))
    items = story(line)
    ids = {item["id"]: f"wamid.{i:02}" for i, (_, item) in enumerate(items) if "from" in item}
    text = json.dumps(items)
    for id_, name in ids.items():
        text = text.replace(id_, name)
    items = [(kind, item) for kind, item in json.loads(text)]
    for picks in plan:
        answer = await post(client, body(line, [[items[i] for i in picks]]), line.secret)
        assert answer.status_code == 200
    await drain(line.world, at_once=at_once)
    async with runtime.database.system_driver() as driver:
        return json.loads(await driver.fetchval(_STATE, line.world.tenant.id))


COUNT = 18


@st.composite
def plans(draw: st.DrawFn) -> list[list[int]]:
    """Every item at least once, some again, in any order, cut anywhere."""
    again = draw(st.lists(st.integers(0, COUNT - 1), max_size=8))
    order = draw(st.permutations([*range(COUNT), *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1), max_size=len(order) - 1)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@pytest.fixture
async def one_by_one(runtime: Runtime, anonymous: httpx.AsyncClient) -> Any:
    return await outcome(runtime, anonymous, [[i] for i in range(COUNT)], 1)


async def test_the_story_is_the_whole_one(one_by_one: Any) -> None:
    """What the others are compared with: not an empty state."""
    assert len(one_by_one["messages"]) == 13
    assert len(one_by_one["contacts"]) == 3
    assert len(one_by_one["threads"]) == 2
    assert len(one_by_one["notices"]) == 5
    assert len(one_by_one["consents"]) == 2


async def test_any_order_company_and_number_of_copies(
    one_by_one: Any, runtime: Runtime, anonymous: httpx.AsyncClient, app: Largo
) -> None:
    loop = asyncio.get_running_loop()
    tried: list[list[list[int]]] = []

    @settings(
        max_examples=10, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate],  # each example is a tenant of its own: too dear to shrink
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(plans())
    def collect(plan: list[list[int]]) -> None:
        tried.append(plan)
        found = asyncio.run_coroutine_threadsafe(outcome(runtime, anonymous, plan, 5), loop)
        assert found.result(60) == one_by_one, plan

    await asyncio.to_thread(collect)
    assert len(tried) >= 10


async def test_fifty_first_messages_of_one_person_at_once(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    messages = [line.message(text={"body": str(i)}) for i in range(50)]
    await asyncio.gather(*(line.deliver(anonymous, line.change(messages=[m])) for m in messages))
    await drain(line.world, at_once=10)
    assert [m.text for m in await line.messages()] == [str(i) for i in range(50)]
    [thread] = await line.conversations()
    assert (thread.unread_count, thread.last_message_text) == (50, "49")
    async with line.world.runtime.database.system_driver() as driver:
        count = await driver.fetchval(
            "SELECT count(*) FROM contacts WHERE tenant_id = $1", line.world.tenant.id
        )
    assert count == 1


async def test_arrival_decides_inside_a_second(line: Line, anonymous: httpx.AsyncClient) -> None:
    messages = [line.message(text={"body": str(i)}, at=1_780_000_500) for i in range(12)]
    for pair in zip(messages[::2], messages[1::2], strict=True):
        await line.deliver(anonymous, line.change(messages=list(pair)))
    await drain(line.world, at_once=6)
    assert [m.text for m in await line.messages()] == [str(i) for i in range(12)]
