"""An import that is killed in the middle goes on where its last commit left it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.catalog.models import Product
from tests.commerce.imports.test_api import PATH, send
from tests.conftest import ROOT
from tests.factories.tenants import World
from tests.sandbox.server import until

START_S = 60
ROWS = 100


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "tests.faults.import_runner", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("point", ["written", "committed"])
async def test_a_killed_import_is_neither_halved_nor_doubled(
    world: World, owner: httpx.AsyncClient, environment: dict[str, str], tmp_path: Path, point: str
) -> None:
    table = "id,name,price\n" + "".join(f"K{n},Item {n},1.00\n" for n in range(ROWS))
    import_id = (await send(owner, "products", file=table.encode())).json()["id"]
    await owner.post(f"{PATH}/{import_id}/apply")

    async def stored() -> int:
        async with world.work() as work:
            return await work.session.scalar(select(func.count()).select_from(Product)) or 0

    words = (point, str(tmp_path / "died"), import_id)
    first = start(environment, *words)
    try:
        assert await asyncio.to_thread(first.wait, START_S) == -9
    finally:
        first.kill()
    half = (await owner.get(f"{PATH}/{import_id}")).json()
    assert (half["status"], half["rows_done"]) == ("running", 40)
    assert await stored() == half["created"] == 40
    second = start(environment, *words)
    try:

        async def ended() -> bool:
            return bool((await owner.get(f"{PATH}/{import_id}")).json()["status"] == "done")

        await until(ended, START_S)
    finally:
        second.kill()
        await asyncio.to_thread(second.wait, 10)
    done = (await owner.get(f"{PATH}/{import_id}")).json()
    assert (done["created"], done["unchanged"], done["failed"]) == (ROWS, 0, 0)
    assert await stored() == ROWS
