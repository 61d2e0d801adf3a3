"""Many contacts changed at once by several people: nobody waits for each other in a circle."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx

from app.core.ids import new_id
from app.kernel.contacts.models import Contact
from tests.factories.tenants import World

BULK = "/api/v1/contacts/bulk"


async def test_bulk_changes_that_cross_do_not_deadlock(
    owner: httpx.AsyncClient, world: World
) -> None:
    async with world.work() as work:
        rows = [Contact(id=new_id(), name=f"C{n}") for n in range(200)]
        work.session.add_all(rows)
    ids = [str(row.id) for row in rows]
    tags = [
        (await owner.post("/api/v1/tags", json={"name": f"T{n}"})).json()["id"] for n in range(3)
    ]

    async def change(turn: int) -> int:
        dice = random.Random(turn)
        some = dice.sample(ids, 150)
        body: dict[str, Any] = {"contact_ids": some, "stage": dice.choice(["lead", "qualified"])}
        which = "add_tag_ids" if turn % 3 else "remove_tag_ids"
        body[which] = dice.sample(tags, 3)
        return (await owner.post(BULK, json=body)).status_code

    for start in range(0, 24, 8):
        answers = await asyncio.gather(*(change(start + n) for n in range(8)))
        assert set(answers) == {200}
