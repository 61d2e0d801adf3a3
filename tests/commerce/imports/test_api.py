"""Imports over the API: looked at first, applied by key, counted to the last row."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest
from openpyxl import Workbook
from sqlalchemy import select

from app.commerce.catalog.models import Product
from app.commerce.imports import jobs
from app.commerce.imports.models import ImportFile
from app.commerce.orders.models import Order
from app.kernel.contacts.models import Contact
from app.kernel.realtime.models import StreamEvent
from app.main import Largo
from tests.factories.commerce import make_shop
from tests.factories.tenants import World
from tests.kernel.queue_probe import working
from tests.sandbox.server import until

PATH = "/api/v1/admin/imports"
BREADS = "código;nome;preço;categoria\nP1;Pão;4,50;padaria\nP2;Broa;7,00;padaria\n".encode("cp1252")


async def send(client: httpx.AsyncClient, kind: str, **files: bytes) -> httpx.Response:
    parts = {role: (f"{role}.csv", content, "text/csv") for role, content in files.items()}
    return await client.post(PATH, params={"kind": kind}, files=parts)


async def run(app: Largo, client: httpx.AsyncClient, import_id: str) -> dict[str, Any]:
    assert (await client.post(f"{PATH}/{import_id}/apply")).status_code == 202

    async def ended() -> bool:
        return (await client.get(f"{PATH}/{import_id}")).json()["ended_at"] is not None

    async with working(app.runtime, {jobs.APPLY: jobs.apply}):
        await until(ended, 20)
    found: dict[str, Any] = (await client.get(f"{PATH}/{import_id}")).json()
    parts = ("created", "updated", "unchanged", "skipped", "failed")
    assert found["rows_read"] == sum(found[part] for part in parts)
    return found


async def names(world: World) -> dict[str, tuple[str, int]]:
    async with world.work() as work:
        rows = await work.session.scalars(select(Product))
        return {str(row.external_ref): (row.name, row.price_cents) for row in rows}


async def test_a_preview_writes_nothing_and_applying_twice_changes_nothing(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    content = BREADS + b"P3;Cuca;muito;padaria\nP1;P\xe3o;4,50;padaria\n"
    sent = (await send(owner, "products", file=content)).json()
    file = sent["preview"]["files"][0]
    assert (file["encoding"], file["delimiter"]) == ("latin-1", ";")
    assert file["mapping"]["price"] == "preço"
    assert sent["preview"]["sample"][0]["nome"] == "Pão"
    [wrong] = sent["preview"]["failures"]
    assert (wrong["line"], wrong["key"]) == (4, "P3")
    assert await names(world) == {}
    done = await run(app, owner, sent["id"])
    assert (done["status"], done["created"], done["failed"], done["skipped"]) == ("done", 2, 1, 1)
    assert await names(world) == {"P1": ("Pão", 450), "P2": ("Broa", 700)}
    errors = (await owner.get(f"{PATH}/{sent['id']}/errors")).text
    assert [row["key"] for row in csv.DictReader(io.StringIO(errors))] == ["P3"]
    again = await run(app, owner, (await send(owner, "products", file=content)).json()["id"])
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2)
    async with world.work() as work:
        assert (await work.session.scalars(select(ImportFile))).all() == []
        told = (
            await work.session.scalars(
                select(StreamEvent).where(StreamEvent.topic == "imports").order_by(StreamEvent.seq)
            )
        ).all()
    states = [event.data["status"] for event in told if event.data["import_id"] == sent["id"]]
    assert states == ["queued", "running", "running", "done"]
    listed = (await owner.get(PATH)).json()["items"]
    assert [item["id"] for item in listed] == [again["id"], sent["id"]]


async def test_the_mapping_can_be_changed(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    table = b"ref,titulo,tabela\nX1,Caneca,19.90\n"
    sent = (await send(owner, "products", file=table)).json()
    path = f"{PATH}/{sent['id']}"
    assert sent["preview"]["files"][0]["missing"] == ["key"]
    refused = await owner.post(f"{path}/apply")
    assert (refused.status_code, refused.json()["code"]) == (422, "import-columns-missing")
    wrong = await owner.patch(path, json={"mapping": {"file": {"key": "nada"}}})
    assert wrong.json()["code"] == "import-mapping-unknown"
    extra = await owner.patch(path, json={"mapping": {"items": {"product": "ref"}}})
    assert extra.json()["code"] == "import-file-missing"
    mapping = {"key": "ref", "name": "titulo", "price": "tabela"}
    mapped = await owner.patch(path, json={"mapping": {"file": mapping}})
    assert mapped.json()["preview"]["readable"] == 1
    await run(app, owner, sent["id"])
    assert await names(world) == {"X1": ("Caneca", 1990)}
    for late in (await owner.post(f"{path}/apply"), await owner.patch(
        path, json={"mapping": {"file": mapping}}
    )):  # fmt: skip
        assert late.json()["code"] == "import-not-ready"
    assert (await owner.post(f"{path}/cancel")).json()["code"] == "import-ended"


async def test_a_workbook_is_read_as_it_is_seen(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["id", "name", "phone"], [7, "Ana Souza", "11 98765-4321"], [8, "Bia", None]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    sent = (await send(owner, "customers", file=out.getvalue())).json()
    assert sent["preview"]["files"][0]["encoding"] == "xlsx"
    assert (await run(app, owner, sent["id"]))["created"] == 2
    async with world.work() as work:
        ana = await work.session.scalar(select(Contact).where(Contact.external_ref == "7"))
    assert ana is not None
    assert ana.phone == "+5511987654321"


async def test_orders_come_with_their_items(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    await make_shop(world)
    await run(app, owner, (await send(owner, "products", file=BREADS)).json()["id"])
    people = b"id,name\nC1,Rui\n"
    await run(app, owner, (await send(owner, "customers", file=people)).json()["id"])
    orders = b"order_id,customer_id,status,placed_at\nO1,C1,delivered,2024-03-01 10:00:00\n"
    items = b"order_id,product_id,price,freight_value\nO1,P1,4.50,1.00\nO1,P2,7.00,0\n"
    assert (await send(owner, "orders", file=orders)).json()["code"] == "import-file-missing"
    for created in (1, 0):
        sent = (await send(owner, "orders", file=orders, items=items)).json()
        assert (await run(app, owner, sent["id"]))["created"] == created
    async with world.work() as work:
        [order] = (await work.session.scalars(select(Order))).all()
    assert (order.total_cents, order.status) == (1250, "delivered")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"PK\x03\x04 spreadsheet", "import-file-unreadable"), (b"", "import-file-unreadable")],
)
async def test_what_is_no_table_is_refused(
    owner: httpx.AsyncClient, content: bytes, code: str
) -> None:
    answer = await send(owner, "products", file=content)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    big = await send(owner, "products", file=b"x" * (33 * 1024 * 1024))
    assert (big.status_code, big.json()["code"]) == (413, "import-file-too-large")
    assert (await owner.get(PATH)).json()["items"] == []


async def test_a_cancelled_import_is_not_applied(
    app: Largo, world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    sent = (await send(owner, "products", file=BREADS)).json()
    path = f"{PATH}/{sent['id']}"
    for foreign in (await outsider.get(path), await outsider.post(f"{path}/apply")):
        assert foreign.json()["code"] == "import-not-found"
    await owner.post(f"{path}/apply")
    assert (await owner.post(f"{path}/cancel")).json()["status"] == "cancelled"
    other = (await send(owner, "products", file=b"id,name\nZ,Outro\n")).json()
    await run(app, owner, other["id"])
    assert set(await names(world)) == {"Z"}
