"""What the vendor tells of accounts, numbers and templates, in shapes that nobody promised."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from app.conversations.inbound.jobs import ACCOUNT, apply_account
from app.kernel.jobs.service import JobContext
from tests.conversations.inbound.line import Line, drain

FIELDS = (
    "phone_number_quality_update", "phone_number_name_update", "account_update",
    "business_capability_update", "account_alerts", "message_template_status_update",
    "message_template_quality_update", "template_category_update", "of_tomorrow",
)  # fmt: skip
VALUES: list[Any] = [
    {}, None, [], "x", 7, {"event": None}, {"event": []}, {"event": {"a": 1}},
    {"event": "X" * 5000},
    {"display_phone_number": "551130000000", "current_limit": "TIER_999999999K"},
    {"display_phone_number": "551130000000", "max_daily_conversations_per_business": 10**15},
    {"display_phone_number": "551130000000", "current_limit": [], "event": "FLAGGED"},
    {"display_phone_number": "551130000000", "decision": "APPROVED",
     "requested_verified_name": "N" * 9000},
    {"display_phone_number": "551130000000", "decision": ["APPROVED"]},
    {"ban_info": 5, "restriction_info": 7, "violation_info": "x"},
    {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": {"a": []}}},
    {"event": "ACCOUNT_RESTRICTION", "restriction_info": [None, {"restriction_type": 5}]},
    {"alert_info": {"alert_severity": "CRITICAL", "alert_description": {"a": 1}}},
    {"alert_info": [], "alert_severity": "WARNING"},
    {"event": "APPROVED", "message_template_id": 10**18, "message_template_name": ["a"],
     "message_template_language": None},
    {"event": "LIMIT_EXCEEDED", "message_template_name": "x" * 9000, "reason": {"a": 1}},
    {"new_category": {"a": 1}, "new_quality_score": []},
    {"messages": "x"}, {"text": "nul\u0000"},
]  # fmt: skip


async def news(line: Line) -> list[tuple[int, dict[str, Any]]]:
    async with line.world.runtime.database.system_driver() as driver:
        rows = await driver.fetch(
            "SELECT id, payload FROM pgqueuer WHERE entrypoint = $1 "
            "AND convert_from(payload, 'UTF8')::json->>'tenant_id' = $2 ORDER BY id",
            ACCOUNT,
            str(line.world.tenant.id),
        )
    return [(row["id"], orjson.loads(row["payload"])["payload"]) for row in rows]


@pytest.mark.parametrize("field", FIELDS)
async def test_no_odd_news_fails_its_job(
    line: Line, anonymous: httpx.AsyncClient, field: str
) -> None:
    for value in VALUES:
        with_phone = [value] if not isinstance(value, dict) else [
            value, value | {"metadata": {"phone_number_id": line.phone_number_id}},
        ]  # fmt: skip
        await line.deliver(anonymous, *({"field": field, "value": v} for v in with_phone))
    await drain(line.world)
    waiting = await news(line)
    assert len(waiting) >= len(VALUES)
    for _, payload in waiting:
        job = JobContext(line.world.runtime, line.world.work, line.world.tenant.id, payload, 1)
        try:
            await apply_account(job)
        except Exception as error:
            pytest.fail(f"{payload}: {error!r}"[:600])
