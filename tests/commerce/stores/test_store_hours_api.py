"""Opening hours through the API: what is accepted, and what the public then sees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.factories.stores import ADMIN, DAILY, open_store


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Stop the clock of the stores at a moment in UTC."""
    fixed = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    monkeypatch.setattr("app.commerce.stores.service.now", lambda: fixed)


@pytest.mark.parametrize(
    "hours",
    [
        [(0, "10:00", "14:00"), (0, "13:59", "18:00")],
        [(0, "18:00", "02:00"), (1, "01:00", "05:00")],
        [(6, "20:00", "03:00"), (0, "02:59", "10:00")],
        [(2, "10:00", "12:00"), (2, "10:00", "12:00")],
        [(3, "00:00", "00:00"), (3, "23:00", "23:30")],
    ],
    ids=["same-day", "past-midnight", "sunday-into-monday", "twice", "all-day"],
)
async def test_overlapping_hours_are_refused(
    owner: httpx.AsyncClient, hours: list[tuple[int, str, str]]
) -> None:
    store = await open_store(owner)
    path = f"{ADMIN}/{store['id']}"
    body = {"hours": [{"weekday": d, "opens": o, "closes": c} for d, o, c in hours]}
    refused = await owner.put(f"{path}/hours", json=body)
    assert refused.status_code == 422
    assert "overlap" in refused.json()["errors"][0]["detail"]
    assert (await owner.get(path)).json()["hours"] == DAILY


async def test_touching_hours_are_taken_and_sorted(owner: httpx.AsyncClient) -> None:
    store = await open_store(owner)
    hours = [
        {"weekday": 6, "opens": "20:00", "closes": "03:00"},
        {"weekday": 0, "opens": "12:00", "closes": "24:00"},
        {"weekday": 0, "opens": "03:00", "closes": "12:00"},
        {"weekday": 1, "opens": "00:00", "closes": "02:00"},
    ]
    answer = await owner.put(f"{ADMIN}/{store['id']}/hours", json={"hours": hours})
    assert answer.status_code == 200, answer.text
    assert answer.json()["hours"] == [hours[2], hours[1], hours[3], hours[0]]


async def test_hours_past_midnight(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    friday = [{"weekday": 4, "opens": "18:00", "closes": "02:00"}]
    store = await open_store(owner, slug="noite", hours=[])
    await owner.put(f"{ADMIN}/{store['id']}/hours", json={"hours": friday})

    # Saturday, 26 July 2025, 01:59 in São Paulo (UTC-3): still Friday's evening.
    at(monkeypatch, "2025-07-26T04:59:00")
    seen = (await shopper.get("/api/v1/stores/noite")).json()
    assert seen["is_open"] is True
    assert seen["closes_at"] == "2025-07-26T05:00:00Z"
    assert seen["availability"]["pickup"] == {
        "open": True,
        "reasons": [],
        "next_open": None,
        "next_slot": None,
        "next_available_at": None,
    }
    at(monkeypatch, "2025-07-26T05:00:00")
    seen = (await shopper.get("/api/v1/stores/noite")).json()
    assert seen["is_open"] is False
    assert seen["closes_at"] is None
    assert seen["next_opening"] == "2025-08-01T21:00:00Z"
    assert seen["availability"]["delivery"]["reasons"] == ["closed-now"]
    assert seen["availability"]["delivery"]["next_available_at"] == "2025-08-01T21:00:00Z"


async def test_exception_days_replace_the_week(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(owner, slug="natal")
    days = {
        "exceptions": [
            {"date": "2025-12-31", "intervals": [{"opens": "11:00", "closes": "17:00"}]},
            {"date": "2025-12-25", "intervals": []},
        ]
    }
    saved = await owner.put(f"{ADMIN}/{store['id']}/exceptions", json=days)
    assert saved.status_code == 200, saved.text
    assert [e["date"] for e in saved.json()["exceptions"]] == ["2025-12-25", "2025-12-31"]

    at(monkeypatch, "2025-12-25T22:00:00")  # 19:00 in São Paulo, open on other Thursdays
    closed = (await shopper.get("/api/v1/stores/natal")).json()
    assert closed["is_open"] is False
    assert closed["next_opening"] == "2025-12-26T21:00:00Z"
    at(monkeypatch, "2025-12-31T15:00:00")
    assert (await shopper.get("/api/v1/stores/natal")).json()["is_open"] is True
    at(monkeypatch, "2025-12-31T22:00:00")
    assert (await shopper.get("/api/v1/stores/natal")).json()["is_open"] is False


@pytest.mark.parametrize(
    ("exceptions", "says"),
    [
        ([{"date": "2026-12-25"}, {"date": "2026-12-25"}], "at most one"),
        (
            [
                {
                    "date": "2026-12-25",
                    "intervals": [
                        {"opens": "10:00", "closes": "14:00"},
                        {"opens": "12:00", "closes": "16:00"},
                    ],
                }
            ],
            "overlap",
        ),
        ([{"date": "2026-02-30"}], "date"),
    ],
)
async def test_wrong_exceptions_are_refused(
    owner: httpx.AsyncClient, exceptions: list[dict[str, Any]], says: str
) -> None:
    store = await open_store(owner)
    path = f"{ADMIN}/{store['id']}"
    refused = await owner.put(f"{path}/exceptions", json={"exceptions": exceptions})
    assert refused.status_code == 422
    assert says in refused.json()["errors"][0]["detail"]
    assert (await owner.get(path)).json()["exceptions"] == []


async def test_storefront_shows_slots_switches_and_reasons(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_store(
        owner,
        slug="encomendas",
        preorder_enabled=True,
        preorder_lead_minutes=60,
        preorder_slot_minutes=30,
        preorder_horizon_days=1,
        delivery_enabled=False,
    )
    at(monkeypatch, "2025-07-26T20:30:00")  # 17:30 in São Paulo; opens at 18:00
    seen = (await shopper.get("/api/v1/stores/encomendas")).json()
    starts = [slot["start"] for slot in seen["preorder_slots"]]
    assert starts[0] == "2025-07-26T21:30:00Z", "one hour of lead"
    assert starts[-1] == "2025-07-28T01:30:00Z", "tomorrow's last"
    assert len(starts) == 9 + 10
    assert seen["availability"]["delivery"]["reasons"] == ["channel-disabled", "closed-now"]
    assert seen["availability"]["delivery"]["next_available_at"] is None
    first = seen["preorder_slots"][0]
    assert seen["availability"]["pickup"]["next_slot"] == {k: first[k] for k in ("start", "end")}
    assert seen["availability"]["pickup"]["next_available_at"] == "2025-07-26T21:00:00Z"
    listed = (await shopper.get("/api/v1/stores")).json()["items"]
    assert listed == [seen | {"preorder_slots": seen["preorder_slots"][:3]}]
