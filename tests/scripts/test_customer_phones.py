"""The programs that correct and merge customers; what they write, they write as a person's run."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.orders.models import Order
from app.kernel.contacts.models import Contact
from scripts import merge_customer_conflicts, normalize_customers_phone
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World
from tests.scripts.desk import Program

NORMALIZE, MERGE = normalize_customers_phone.execute, merge_customer_conflicts.execute
ROOT = Path(__file__).parent.parent.parent


async def run(environment: dict[str, str], name: str, *arguments: str) -> tuple[int, str]:
    """Exit code and what was printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, f"scripts/{name}.py", *arguments, cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def shown(world: World, program: Program, *arguments: str) -> tuple[int, str]:
    """The same within this process, which starts faster."""
    out = io.StringIO()
    code = await program(world.runtime, ["--tenant", world.tenant.slug, *arguments], out)
    return code, out.getvalue()


async def contacts(world: World) -> dict[str, str | None]:
    """Every stored number with whose double it is."""
    async with world.work() as work:
        rows = list(await work.session.scalars(select(Contact)))
        names = {row.id: row.name for row in rows}
    return {
        row.phone: names[row.merged_into_id] if row.merged_into_id else None
        for row in rows
        if row.phone
    }


async def test_report_first_then_correct_then_merge(
    environment: dict[str, str], world: World, owner: httpx.AsyncClient
) -> None:
    shop = await make_shop(world)
    pizza = await shop.product()
    async with world.work() as work:
        work.session.add_all(
            Contact(name=name, phone=phone, email=email)
            for name, phone, email in (
                ("Velha", "+551187654321", None), ("Ana", "+551196660000", "a@x.com"),
                ("Fixo", "+551132654321", None), ("Anita", "+5521988887777", "A@x.com"),
            )
        )  # fmt: skip
    cart = shop.cart(pizza, customer={"name": "Velha", "phone": "11 98765-4321"})
    assert (await owner.post("/api/v1/checkout", json=cart, headers=key())).status_code == 201
    async with world.work() as work:
        work.session.add(Contact(name="Nova", phone="+5511987654321"))
    cart["customer"] = {"name": "Nova", "phone": "11 98765-4321"}
    assert (await owner.post("/api/v1/checkout", json=cart, headers=key())).status_code == 201
    before = await contacts(world)
    whose = ("--tenant", world.tenant.slug)

    code, said = await shown(world, NORMALIZE)
    assert code == 2, said
    assert "2 without the ninth digit = to correct 1 + conflicts 1" in said
    code, said = await shown(world, MERGE)
    assert code == 2, said
    assert "Nova stays, Velha would be merged" in said
    assert await contacts(world) == before, "a report changes nothing"

    code, said = await run(environment, "normalize_customers_phone", *whose, "--apply")
    assert code == 2, said
    assert "corrected 1 + conflicts 1" in said
    assert "+5511996660000" in await contacts(world)
    code, said = await run(environment, "merge_customer_conflicts", *whose, "--apply")
    assert code == 0, said
    assert "merged 1" in said
    assert (await contacts(world))["+551187654321"] == "Nova"
    async with world.work() as work:
        held = await work.session.execute(
            select(Contact.name, func.count()).join(Order, Order.contact_id == Contact.id)
            .group_by(Contact.name)
        )  # fmt: skip
        assert [tuple(row) for row in held] == [("Nova", 2)], "every order follows"
    for program in (NORMALIZE, MERGE):
        code, said = await shown(world, program, "--apply")
        assert code == 0, said
    assert (await contacts(world))["+5521988887777"] is None, "an e-mail alone merges nobody"
    code, said = await shown(world, MERGE, "--apply", "--by-email")
    assert (code, (await contacts(world))["+5521988887777"]) == (0, "Ana"), said


async def test_wrong_calls_begin_nothing(environment: dict[str, str], world: World) -> None:
    code, said = await run(environment, "merge_customer_conflicts", "--tenant", "ninguem-mesmo")
    assert (code, "There is no tenant" in said) == (1, True), said
    with pytest.raises(SystemExit, match="1"):
        await NORMALIZE(world.runtime, ["--apply"], io.StringIO())
