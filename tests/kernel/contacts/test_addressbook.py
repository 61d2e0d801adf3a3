"""Contacts from a file and into one: counts that add up, and a second run that changes nothing."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
from sqlalchemy import func, select

from app.core.ids import new_id
from app.kernel.contacts.models import Contact
from tests.factories.tenants import World

BASE = "/api/v1/contacts"
FILE = (
    "Nome;Celular;E-mail;Filhos;Signo\n"
    "Maria Nova;(11) 98765-4321;maria@x.com;2;leão\n"
    "João;11 8765-0000;;;\n"
    "Só E-mail;;so@x.com;1,5;\n"
    "Repetida;+55 11 98765-4321;;;\n"
    "Torta;123;;;\n"
    "Ninguém;;;;\n"
    "Filhos errados;(31) 98888-0000;;muitos;\n"
)


async def count(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Contact)) or 0


async def test_preview_apply_and_again(owner: httpx.AsyncClient, world: World) -> None:
    number = {"key": "filhos", "label": "Filhos", "kind": "number"}
    assert (await owner.post("/api/v1/contact-attributes", json=number)).status_code == 201
    known = {"name": "João Guimarães", "phone": "(11) 98765-0000"}
    joao = (await owner.post(BASE, json=known)).json()["id"]
    tag = (await owner.post("/api/v1/tags", json={"name": "Feira"})).json()["id"]
    consent = {"channel": "whatsapp", "evidence": "Lista da feira, 22/11"}
    body: dict[str, Any] = {"csv": FILE, "tag_ids": [tag], "consent": consent}

    preview = await owner.post(f"{BASE}/imports/preview", json=body)
    assert preview.status_code == 200, preview.text
    shown = preview.json()
    assert await count(world) == 1, "a preview writes nothing"
    counts = ("rows", "created", "updated", "unchanged", "repeated", "failed")
    assert [shown[name] for name in counts] == [7, 2, 0, 1, 1, 3]
    assert shown["columns"] == {
        "name": "nome", "phone": "celular", "email": "e-mail", "filhos": "filhos",
    }  # fmt: skip
    assert shown["ignored"] == ["signo"]
    assert [f["line"] for f in shown["faults"]] == [6, 7, 8]
    assert "123" in shown["faults"][0]["reason"]

    applied = (await owner.post(f"{BASE}/imports", json=body)).json()
    assert applied == shown
    assert await count(world) == 3
    listed = {c["name"]: c for c in (await owner.get(BASE)).json()["items"]}
    assert set(listed) == {"Maria Nova", "João Guimarães", "Só E-mail"}
    assert listed["Maria Nova"]["attributes"] == {"filhos": 2}
    assert listed["Só E-mail"]["attributes"] == {"filhos": 1.5}
    assert all([t["name"] for t in c["tags"]] == ["Feira"] for c in listed.values())
    params = {"channel": "whatsapp", "category": "marketing"}
    allowed = {}
    for name, contact in listed.items():
        answer = await owner.get(f"{BASE}/{contact['id']}/may-send", params=params)
        allowed[name] = answer.json()["is_allowed"]
    assert allowed == {"Maria Nova": True, "João Guimarães": False, "Só E-mail": True}

    again = (await owner.post(f"{BASE}/imports", json=body)).json()
    assert [again[name] for name in counts] == [7, 0, 0, 3, 1, 3]
    filled = {"csv": "telefone,email,empresa\n11987650000,joao@x.com,Padaria\n"}
    assert (await owner.post(f"{BASE}/imports", json=filled)).json()["updated"] == 1
    changed = (await owner.get(f"{BASE}/{joao}")).json()
    assert (changed["name"], changed["email"], changed["company"]) == (
        "João Guimarães", "joao@x.com", "Padaria",
    )  # fmt: skip


async def test_files_that_are_no_contacts_are_refused(
    owner: httpx.AsyncClient, world: World
) -> None:
    for body, code in (
        ({"csv": "a,b\n1,2\n"}, "contacts-unreadable"),
        ({"csv": "nome,nome\n1,2\n"}, "contacts-unreadable"),
        ({"csv": FILE, "mapping": {"phone": "fax"}}, "contacts-unreadable"),
        ({"csv": FILE, "mapping": {"fax": "celular"}}, "contacts-unreadable"),
        ({"csv": "phone\n" + "11987654321\n" * 5001}, "contacts-unreadable"),
        ({"csv": FILE, "tag_ids": [str(new_id())]}, "invalid-request"),
        ({"csv": ""}, "invalid-request"),
    ):
        answer = await owner.post(f"{BASE}/imports", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await count(world) == 0


async def test_export_streams_what_the_filters_hold_for(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    for n in range(3):
        body = {"name": f"=CMD{n}", "phone": f"(11) 9800{n}-0000", "stage": "lead" if n else None}
        assert (await owner.post(BASE, json=body)).status_code == 201
    answer = await owner.get(f"{BASE}/export", params={"query": "cmd1"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["name"], row["phone"]) == ("'=CMD1", "'+5511980010000")
    whole = list(csv.DictReader(io.StringIO((await owner.get(f"{BASE}/export")).text)))
    assert [r["name"] for r in whole] == ["'=CMD2", "'=CMD1", "'=CMD0"]
    assert len((await outsider.get(f"{BASE}/export")).text.splitlines()) == 1
    gone = await owner.get(f"{BASE}/export", params={"segment_id": str(new_id())})
    assert (gone.status_code, gone.json()["code"]) == (404, "segment-not-found")


async def test_what_was_exported_is_read_back(owner: httpx.AsyncClient, world: World) -> None:
    known = {"name": "=João", "phone": "(11) 98765-0000", "email": "joao@x.com"}
    assert (await owner.post(BASE, json=known)).status_code == 201
    text = (await owner.get(f"{BASE}/export")).text
    assert "'=João" in text, "no spreadsheet runs it"
    report = (await owner.post(f"{BASE}/imports/preview", json={"csv": text})).json()
    counts = ("rows", "created", "updated", "unchanged", "failed")
    assert [report[name] for name in counts] == [1, 0, 0, 1, 0], report
