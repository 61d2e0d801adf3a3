"""Message templates: handed in, synchronised, previewed, checked, told of by the vendor."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from app.contracts.gateways.whatsapp import Component, RemoteTemplate, Template
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.templates import rules
from app.conversations.templates.jobs import SYNC, sync
from app.conversations.templates.problems import (
    TemplateNotApproved,
    TemplateNotFound,
    TemplateParametersInvalid,
)
from app.conversations.templates.service import TemplateService
from app.core.clock import now
from app.kernel.jobs.service import JobContext, RetryLater
from tests.factories.tenants import World
from tests.factories.whatsapp import make_number
from tests.sandbox.server import SandboxServer

Json = Any
TEMPLATES = "/api/v1/whatsapp/templates"
BODY: Json = {
    "type": "BODY",
    "text": "Oi {{1}}, o pedido {{2}} saiu.",
    "example": {"body_text": [["Ana", "1042"]]},
}


@pytest.fixture
async def number(world: World, sandbox: SandboxServer) -> WhatsAppNumber:
    await sandbox.put("whatsapp", review="hold")
    return await make_number(world, base_url=f"{sandbox.url}/graph", api_version="v23.0")


def definition(number: WhatsAppNumber, name: str = "pedido_saiu", **changes: Json) -> Json:
    return {
        "number_id": str(number.id),
        "name": name,
        "category": "utility",
        "components": [BODY],
    } | changes


async def create(owner: httpx.AsyncClient, body: Json) -> httpx.Response:
    headers = {"Idempotency-Key": str(uuid4())}
    return await owner.post(TEMPLATES, json=body, headers=headers)


async def synchronise(world: World, number: WhatsAppNumber) -> None:
    payload = {"waba_id": number.waba_id}
    await sync(JobContext(world.runtime, world.work, world.tenant.id, payload, 1))


async def queued(world: World) -> int:
    async with world.runtime.database.system_engine.begin() as connection:
        statement = text("SELECT count(*) FROM pgqueuer WHERE entrypoint = :name")
        found = await connection.scalar(statement, {"name": SYNC})
        return int(found or 0)


async def test_a_template_is_handed_in_approved_edited_and_deleted(
    owner: httpx.AsyncClient, world: World, number: WhatsAppNumber, sandbox: SandboxServer
) -> None:
    answer = await create(owner, definition(number))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["status"], made["language"]) == ("pending", "pt_BR")
    async with world.work() as work:
        row = await TemplateService(work).get(UUID(made["id"]))
        notice = {"event": "APPROVED", "message_template_id": int(row.vendor_id or 0)}
        assert await TemplateService(work).apply(
            number.waba_id, "message_template_status_update", notice
        )
    listed = (await owner.get(TEMPLATES, params={"status": "approved"})).json()["items"]
    assert [row["id"] for row in listed] == [made["id"]]
    path = f"{TEMPLATES}/{made['id']}"
    changed = [BODY | {"text": "Oi {{1}}, seu pedido {{2}} está a caminho."}]
    edited = await owner.patch(path, json={"components": changed, "category": "marketing"})
    assert (edited.json()["status"], edited.json()["category"]) == ("pending", "marketing")
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.get(path)).json()["status"] == "deleted"
    assert (await owner.get(TEMPLATES)).json()["items"] == []
    again = await create(owner, definition(number))
    assert (again.status_code, again.json()["id"]) == (201, made["id"])


async def test_a_second_of_the_same_name_and_a_bad_one_never_reach_the_vendor(
    owner: httpx.AsyncClient, number: WhatsAppNumber, sandbox: SandboxServer
) -> None:
    assert (await create(owner, definition(number))).status_code == 201
    twice = await create(owner, definition(number))
    assert (twice.status_code, twice.json()["code"]) == (409, "template-exists")
    bad = await create(owner, definition(number, "ruim", components=[BODY | {"text": "{{2}}"}]))
    assert (bad.status_code, bad.json()["code"]) == (422, "template-invalid")
    assert {e["pointer"] for e in bad.json()["errors"]} == {
        "/components/BODY",
    }
    assert len(await sandbox.requests(vendor="whatsapp")) == 1
    assert len((await owner.get(TEMPLATES)).json()["items"]) == 1


async def test_a_refused_template_is_not_left_behind(
    owner: httpx.AsyncClient, number: WhatsAppNumber, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp/knobs", error={"code": "100", "times": 1})
    refused = await create(owner, definition(number))
    assert (refused.status_code, refused.json()["provider_code"]) == (409, "100")
    assert (await owner.get(TEMPLATES)).json()["items"] == []
    assert (await create(owner, definition(number))).status_code == 201


async def test_an_answer_that_is_lost_is_settled_by_the_next_look(
    owner: httpx.AsyncClient, world: World, number: WhatsAppNumber, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp/knobs", drop_answer=1)
    answer = await create(owner, definition(number))
    assert (answer.status_code, answer.json()["status"]) == (201, "submitting")
    path = f"{TEMPLATES}/{answer.json()['id']}"
    early = await owner.patch(path, json={"category": "marketing"})
    assert (early.status_code, early.json()["code"]) == (409, "template-not-submitted")
    await synchronise(world, number)
    assert (await owner.get(path)).json()["status"] == "pending"


async def test_a_sync_pages_through_and_marks_what_is_gone(
    owner: httpx.AsyncClient, world: World, number: WhatsAppNumber, sandbox: SandboxServer
) -> None:
    root, key = f"{sandbox.url}/graph/v23.0/{number.waba_id}/message_templates", "EAAGtoken"
    headers = {"authorization": f"Bearer {key}"}
    for n in range(120):
        body = {"name": f"m_{n}", "language": "pt_BR", "category": "UTILITY", "components": [BODY]}
        await sandbox.http.post(root, json=body, headers=headers)
    await synchronise(world, number)
    pages = [(await owner.get(TEMPLATES, params={"limit": 100})).json()]
    params = {"limit": 100, "cursor": pages[0]["next_cursor"]}
    pages.append((await owner.get(TEMPLATES, params=params)).json())
    assert {row["name"] for page in pages for row in page["items"]} == {
        f"m_{n}" for n in range(120)
    }
    await sandbox.http.delete(root, params={"name": "m_7"}, headers=headers)
    before = (await owner.get(TEMPLATES, params={"name": "m_7"})).json()["items"][0]
    await sandbox.put("whatsapp/knobs", error={"code": "http-503"})
    with pytest.raises(RetryLater):
        await synchronise(world, number)
    assert (await owner.get(f"{TEMPLATES}/{before['id']}")).json()["deleted_at"] is None
    await sandbox.put("whatsapp/knobs")
    await synchronise(world, number)
    gone = (await owner.get(f"{TEMPLATES}/{before['id']}")).json()
    assert (gone["status"], gone["deleted_at"] is None) == ("deleted", False)
    asked = (await owner.post(f"{TEMPLATES}/sync")).json()
    assert asked == {"queued": 1}
    assert await queued(world) >= 1


REMOTE = RemoteTemplate(
    "987", "aviso", "pt_BR", "utility", "approved", "named", "green", None,
    (
        {"type": "HEADER", "format": "IMAGE"},
        {
            "type": "BODY",
            "text": "Oi {{nome}}, pedido {{pedido}}.",
            "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]},
        },
        {"type": "FOOTER", "text": "Bella Massa"},
        {"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Acompanhar", "url": "https://x.example/{{1}}"}]},
    ),
)  # fmt: skip
VALUES: list[Json] = [
    {"type": "header", "parameters": [{"type": "image", "image": {"id": "1"}}]},
    {
        "type": "body",
        "parameters": [
            {"type": "text", "parameter_name": "pedido", "text": "1042"},
            {"type": "text", "parameter_name": "nome", "text": "João"},
        ],
    },
    {
        "type": "button",
        "sub_type": "url",
        "index": 0,
        "parameters": [{"type": "text", "text": "abc"}],
    },
]


async def kept(world: World, number: WhatsAppNumber, remote: RemoteTemplate = REMOTE) -> UUID:
    async with world.work() as work:
        service = TemplateService(work)
        await service.keep(number.waba_id, [remote], now())
        row = await service.templates.named(number.waba_id, remote.name, remote.language)
        assert row is not None
        return row.id


async def test_a_preview_shows_samples_and_what_is_missing(
    owner: httpx.AsyncClient, world: World, number: WhatsAppNumber
) -> None:
    path = f"{TEMPLATES}/{await kept(world, number)}/preview"
    bare = (await owner.post(path, json={})).json()
    assert (bare["header"], bare["body"]) == ("image", "Oi Ana, pedido {{pedido}}.")
    assert (bare["footer"], bare["buttons"]) == ("Bella Massa", ["Acompanhar"])
    assert bare["is_sendable"] is False
    assert {e["pointer"] for e in bare["errors"]} == {
        "/components/header",
        "/components/body",
        "/components/button/0",
    }
    full = (await owner.post(path, json={"components": VALUES})).json()
    assert (full["body"], full["is_sendable"]) == ("Oi João, pedido 1042.", True)


async def test_only_approved_templates_with_fitting_values_are_sent(
    world: World, number: WhatsAppNumber
) -> None:
    def wanted(values: list[Json], name: str = "aviso") -> Template:
        return Template.model_validate(
            {"name": name, "language": {"code": "pt_BR"}, "components": values}
        )

    template_id = await kept(world, number)
    async with world.work() as work:
        service = TemplateService(work)
        row = await service.template_for_sending(number.waba_id, wanted(VALUES))
        assert row.id == template_id
        with pytest.raises(TemplateParametersInvalid):
            await service.template_for_sending(number.waba_id, wanted(VALUES[:1]))
        with pytest.raises(TemplateNotFound):
            await service.template_for_sending(number.waba_id, wanted(VALUES, "outro"))
        assert [row.name for row in await service.sendable(number.waba_id)] == ["aviso"]
        paused = {"event": "PAUSED", "message_template_id": 987, "reason": "LOW_QUALITY"}
        await service.apply_status(number.waba_id, paused)
        with pytest.raises(TemplateNotApproved) as caught:
            await service.template_for_sending(number.waba_id, wanted(VALUES))
        assert caught.value.extra == {"template_status": "paused"}
        assert await service.sendable(number.waba_id) == []


@pytest.mark.parametrize(
    ("field", "value", "changed"),
    [
        ("message_template_status_update", {"event": "REJECTED", "reason": "SCAM"},
         {"status": "rejected", "reason": "SCAM"}),
        ("message_template_status_update", {"event": "FLAGGED", "reason": "NONE"},
         {"status": "approved", "reason": None}),
        ("message_template_status_update", {"event": "DISABLED"}, {"status": "disabled"}),
        ("message_template_quality_update", {"new_quality_score": "RED"}, {"quality": "red"}),
        ("template_category_update", {"new_category": "MARKETING"}, {"category": "marketing"}),
        ("template_category_update", {"new_category": "SOMETHING"}, {"category": "utility"}),
        ("message_template_components_update", {"message_template_element": "x"}, {}),
    ],
)  # fmt: skip
async def test_webhooks_change_the_template(
    field: str, value: Json, changed: Json, world: World, number: WhatsAppNumber
) -> None:
    template_id = await kept(world, number)
    named = {"message_template_name": "aviso", "message_template_language": "pt_BR"}
    for which in ({"message_template_id": 987}, named):
        async with world.work() as work:
            assert await TemplateService(work).apply(number.waba_id, field, value | which)
    async with world.work() as work:
        row = await TemplateService(work).get(template_id)
        assert {name: getattr(row, name) for name in changed} == changed
        assert not await TemplateService(work).apply(number.waba_id, "messages", {})


async def test_a_notice_of_an_unknown_template_asks_for_a_look(
    world: World, number: WhatsAppNumber
) -> None:
    before = await queued(world)
    async with world.work() as work:
        await TemplateService(work).apply_status(
            number.waba_id, {"event": "APPROVED", "message_template_id": 1}
        )
    assert await queued(world) == before + 1


def parts(*given: Json) -> list[Component]:
    return [Component.model_validate(part) for part in given]


def texts(*values: str) -> list[Json]:
    return [{"type": "text", "text": value} for value in values]


CAROUSEL: Json = [
    {"type": "BODY", "text": "Veja"},
    {"type": "CAROUSEL", "cards": [{"components": [{"type": "BODY", "text": "{{1}}"}]}] * 2},
]


def card(index: int, *values: str) -> Json:
    body = [{"type": "body", "parameters": texts(*values)}] if values else []
    return {"card_index": index, "components": body}


@pytest.mark.parametrize(
    ("components", "given", "wrong"),
    [
        ([BODY], parts({"type": "body", "parameters": texts("a", "b")}), []),
        ([BODY], parts({"type": "body", "parameters": texts("a")}), ["/components/body"]),
        ([BODY], parts({"type": "body", "parameters": texts("a\nb", "c")}), ["/components/body/0"]),
        ([{"type": "BODY", "text": "Oi"}], parts(), []),
        (
            [{"type": "BODY", "text": "Oi"}],
            parts({"type": "button", "sub_type": "url", "index": 0, "parameters": texts("a")}),
            ["/components/button/0"],
        ),
        (
            [
                {"type": "BODY", "text": "Oi"},
                {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE", "text": "Copiar"}]},
            ],
            parts(),
            ["/components/button/0"],
        ),
        (CAROUSEL, parts({"type": "carousel", "cards": [card(0, "a"), card(1, "b")]}), []),
        (
            CAROUSEL,
            parts({"type": "carousel", "cards": [card(0, "a"), card(1)]}),
            ["/components/carousel/1/body"],
        ),
        (CAROUSEL, parts(), ["/components/carousel"]),
    ],
)
def test_values_are_held_against_the_components(
    components: Json, given: list[Component], wrong: list[str]
) -> None:
    assert [f["pointer"] for f in rules.faults(components, given, named=False)] == wrong


async def test_strangers_see_no_template(
    outsider: httpx.AsyncClient, world: World, number: WhatsAppNumber
) -> None:
    template_id = await kept(world, number)
    path = f"{TEMPLATES}/{template_id}"
    assert (await outsider.get(path)).status_code == 404
    assert (await outsider.delete(path)).status_code == 404
    assert (await outsider.get(TEMPLATES)).json()["items"] == []
    async with world.work() as work:
        assert (await TemplateService(work).get(template_id)).deleted_at is None
