"""Deliveries that no vendor should send: whatever is in them, nothing fails and nothing is lost."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from app.conversations.inbound.jobs import apply_account
from app.conversations.inbound.reading import parsed
from app.conversations.templates.models import MessageTemplate
from app.kernel.jobs.service import JobContext
from tests.conversations.inbound.line import Line, deliveries, drain, post
from tests.conversations.inbound.test_messages import KINDS

SEEDS = int(os.environ.get("BROKEN_SEEDS", "12"))
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 1e308, "", " ", "x" * 5000, "a\x00b", "😀" * 40, "%_\\'\"", [], {},
    [[]], [None], {"id": None}, "2026-13-45", "-5", "99999999999999999999", "NaN", "wamid.x",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands that could be something else."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*path, index)
            yield from places(inner, (*path, index))


def broken(value: Any, dice: random.Random) -> Any:
    """A copy with one to three things left out, or made something else."""
    found = copy.deepcopy(value)
    for _ in range(dice.randint(1, 3)):
        paths = list(places(found))
        if not paths:
            return found
        *way, last = dice.choice(paths)
        room = found
        for step in way:
            room = room[step]
        if dice.random() < 0.3 and isinstance(room, dict):
            del room[last]
        else:
            room[last] = copy.deepcopy(dice.choice(ODD))
    return found


def kinds(line: Line) -> list[dict[str, Any]]:
    """One change of each kind that the vendor knows."""
    messages = [line.message(kind, **fields) for kind, fields, _ in KINDS]
    messages += [
        line.message("edit", edit={"original_message_id": "wamid.1", "message": messages[0]}),
        line.message("revoke", revoke={"original_message_id": "wamid.1"}),
        line.message(context={"id": "wamid.1", "from": line.person, "forwarded": True}),
        line.message(referral={"source_id": "1", "source_type": "ad", "ctwa_clid": "x"}),
    ]
    changes = [line.change(messages=[message]) for message in messages]
    errors = [{"code": 131026, "title": "x", "error_data": {"details": "y"}}]
    pricing = {"billable": True, "category": "utility", "pricing_model": "PMP"}
    for status in ("sent", "delivered", "read", "failed"):
        row = line.status("wamid.1", status, errors=errors, pricing=pricing)
        changes.append(line.change(statuses=[row]))
    echoes = line.change("smb_message_echoes", message_echoes=[line.message(to=line.person)])
    return [*changes, echoes]


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_is_broken_stops_nothing(
    line: Line, anonymous: httpx.AsyncClient, seed: int
) -> None:
    dice = random.Random(seed)
    whole = []
    for change in kinds(line):
        good = line.message()
        whole.append(good["id"])
        await line.deliver(anonymous, broken(change, dice), line.change(messages=[good]))
        await drain(line.world, tries=1)
    assert {row.state for row in await deliveries(line.world)} == {"done"}
    assert set(whole) <= {m.wamid for m in await line.messages()}


@pytest.mark.parametrize("depth", [900, 5000])
@pytest.mark.parametrize("text", ["a", "a\\u0000"])
async def test_depths_are_taken_and_stop_nothing(
    line: Line, anonymous: httpx.AsyncClient, depth: int, text: str
) -> None:
    deep = f'{"[" * depth}"{text}"{"]" * depth}'
    body = orjson.dumps({"entry": [line.entry(line.change(messages=[{"deep": "here"}]))]})
    answer = await post(anonymous, body.replace(b'"here"', deep.encode()), line.secret)
    assert answer.status_code in (200, 401), answer.text
    await line.tell(anonymous, line.message())
    assert len(await line.messages()) == 1


ACCOUNT_CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("message_template_status_update", {
        "event": "REJECTED", "message_template_id": 77, "message_template_name": "boas_vindas",
        "message_template_language": "pt_BR", "reason": "INVALID_FORMAT"}),
    ("message_template_quality_update", {
        "new_quality_score": "YELLOW", "message_template_id": 77,
        "message_template_name": "boas_vindas", "message_template_language": "pt_BR"}),
    ("template_category_update", {
        "new_category": "MARKETING", "message_template_id": 77,
        "message_template_name": "boas_vindas", "message_template_language": "pt_BR"}),
    ("phone_number_quality_update", {
        "event": "DOWNGRADE", "display_phone_number": "551130000000",
        "current_limit": "TIER_10K"}),
    ("phone_number_name_update", {
        "decision": "APPROVED", "display_phone_number": "551130000000",
        "requested_verified_name": "Bella Massa"}),
    ("business_capability_update", {"max_daily_conversation_per_phone": 1000}),
    ("account_update", {
        "event": "ACCOUNT_RESTRICTION", "ban_info": {"waba_ban_state": "DISABLE"},
        "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"}],
        "violation_info": {"violation_type": "SPAM"}}),
    ("account_alerts", {"alert_info": {"alert_severity": "CRITICAL", "alert_type": "X"}}),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_broken_news_of_the_account_stops_nothing(line: Line, seed: int) -> None:
    dice = random.Random(seed)
    async with line.world.work() as work:
        work.session.add(
            MessageTemplate(
                waba_id=line.waba_id, name="boas_vindas", language="pt_BR", category="utility",
                status="approved", components=[], vendor_id="77",
            )
        )  # fmt: skip
    for field, value in ACCOUNT_CHANGES * 3:
        value = parsed(orjson.dumps(broken(value, dice))) or {}
        told = {"waba_id": line.waba_id, "field": field, "value": value}
        await apply_account(
            JobContext(line.world.runtime, line.world.work, line.world.tenant.id, told, 1)
        )
