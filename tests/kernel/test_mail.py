"""A letter is owed with its cause, sent once per reference, and how it ends is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.mail import jobs
from app.kernel.mail.models import Letter
from app.kernel.mail.rules import TEMPLATES, retry_wait, write
from app.kernel.mail.service import MailService
from app.kernel.work import Runtime
from tests.factories.mail import FRONTEND, letters, mailing, postman, token_in
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer

FACTS = {"organization": "Café da Praça", "inviter": "Ana", "until": "29/11/2026 10:00"}
TO = "joana@cafe.example"


@pytest.fixture(autouse=True)
async def no_other_jobs(runtime: Runtime) -> None:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")


async def owe(world: World, reference: str = "r1", **changes: Any) -> bool:
    async with world.work() as work:
        return await MailService(work).send(
            "invitation",
            **{
                "to": TO,
                "reference": reference,
                "facts": FACTS,
                "page": "convite",
                "token": "s3gr3do",
                **changes,
            },
        )


async def rows(world: World) -> Sequence[Letter]:
    async with world.work() as work:
        return (await work.session.scalars(select(Letter).order_by(Letter.id))).all()


async def deliver(world: World, runtime: Runtime, delivery: int = 1) -> None:
    """One run of the job for the newest letter."""
    letter = (await rows(world))[-1]
    payload = {"letter_id": str(letter.id)}
    tenant_id = world.tenant.id
    await jobs.send(JobContext(runtime, world.work, tenant_id, payload, delivery))


@pytest.fixture
async def here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return await mailing(runtime, sandbox)


async def test_a_letter_arrives_once_per_reference(
    world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    async with world.work() as work:
        told = {"facts": FACTS, "page": "convite", "token": "s3gr3do"}
        mail = MailService(work)
        assert await mail.send("invitation", to=TO, reference="r1", **told)  # type: ignore[arg-type]
        assert not await mail.send("invitation", to=TO, reference="r1", **told)  # type: ignore[arg-type]
    assert await owe(world) is False
    assert await owe(world, "r2")
    async with postman(runtime, sandbox):
        first, _ = await letters(sandbox, TO, 2)
    assert len(await sandbox.requests(vendor="smtp")) == 2
    assert first["subject"] == "Convite para Café da Praça"
    assert f"Aceitar o convite: {FRONTEND}/convite#token=s3gr3do" in first["text"]
    assert f'href="{FRONTEND}/convite#token=s3gr3do"' in first["html"]
    found = await rows(world)
    assert [(row.state, row.attempts, row.content) for row in found] == [("sent", 1, None)] * 2
    assert all(row.sent_at is not None for row in found)


async def test_what_rolls_back_sends_nothing(world: World, sandbox: SandboxServer) -> None:
    async def fails() -> None:
        async with world.work() as work:
            await MailService(work).send("invitation", to=TO, reference="r1", facts=FACTS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    assert await rows(world) == []
    async with world.runtime.database.system_driver() as driver:
        assert await driver.fetchval("SELECT count(*) FROM pgqueuer") == 0


async def test_the_text_is_kept_sealed_and_no_longer_than_needed(world: World) -> None:
    await owe(world)
    [row] = await rows(world)
    assert row.content is not None
    assert "s3gr3do" not in row.content
    async with world.runtime.database.system_driver() as driver:
        payload = await driver.fetchval("SELECT payload FROM pgqueuer")
    assert b"s3gr3do" not in payload


async def test_a_busy_server_is_asked_again_and_gets_one_letter(
    world: World, here: Runtime, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sandbox.put("smtp/knobs", error={"code": "451", "times": 1})
    await owe(world)
    carried = World(here, world.tenant, world.owner)
    with pytest.raises(RetryLater) as later:
        await deliver(carried, here)
    assert later.value.seconds == retry_wait(1)
    [row] = await rows(world)
    assert (row.state, row.attempts) == ("pending", 1)
    assert "451" in str(row.error)
    await deliver(carried, here)
    await deliver(carried, here, 2)
    [row] = await rows(world)
    assert (row.state, row.attempts, row.error) == ("sent", 2, None)
    verdicts = [entry["verdict"] for entry in await sandbox.requests(vendor="smtp")]
    assert verdicts == ["accepted", "refused"]


async def test_a_refusal_for_good_ends_it(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    await sandbox.put("smtp/knobs", error={"code": "550", "times": 1})
    await owe(world)
    carried = World(here, world.tenant, world.owner)
    await deliver(carried, here)
    await deliver(carried, here, 2)
    [row] = await rows(world)
    assert (row.state, row.attempts, row.content) == ("failed", 1, None)
    assert "550" in str(row.error)
    assert [e["verdict"] for e in await sandbox.requests(vendor="smtp")] == ["refused"]


async def test_a_lost_answer_is_not_sent_again(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    await sandbox.put("smtp/knobs", drop_answer=1)
    await owe(world)
    carried = World(here, world.tenant, world.owner)
    await deliver(carried, here)
    await deliver(carried, here, 2)
    [row] = await rows(world)
    assert (row.state, row.attempts) == ("unknown", 1)
    assert len(await sandbox.requests(vendor="smtp")) == 1


async def test_a_delivery_that_died_on_the_way_is_not_sent_again(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    await owe(world)
    [row] = await rows(world)
    async with world.work() as work:
        assert await MailService(work).prepare(row.id) is not None
    await deliver(World(here, world.tenant, world.owner), here, 2)
    [row] = await rows(world)
    assert row.state == "unknown"
    assert await sandbox.requests(vendor="smtp") == []


async def test_without_a_carrier_the_letter_waits_and_says_what_to_set(world: World) -> None:
    await owe(world)
    with pytest.raises(RetryLater):
        await deliver(world, world.runtime)
    [row] = await rows(world)
    assert row.state == "pending"
    assert "SMTP_HOST" in str(row.error)


async def test_members_see_how_letters_ended(
    world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shopper: httpx.AsyncClient
) -> None:
    await owe(world)
    answer = await owner.get("/api/v1/admin/letters", params={"state": "pending"})
    [item] = answer.json()["items"]
    assert (item["recipient"], item["template"], item["state"]) == (TO, "invitation", "pending")
    assert "s3gr3do" not in answer.text
    assert (await owner.get("/api/v1/admin/letters?state=sent")).json()["items"] == []
    assert (await outsider.get("/api/v1/admin/letters")).json()["items"] == []
    assert (await shopper.get("/api/v1/admin/letters")).status_code == 401
    agent = await world.member("agent")
    headers = {"Authorization": f"Bearer {agent.token}"}
    refused = await shopper.get("/api/v1/admin/letters", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("locale", ["pt-BR", "en", "en-US"])
def test_every_letter_reads_in_both_languages(template: str, locale: str) -> None:
    facts = {
        "name": "<b>Ana</b>",
        "organization": "Café & Cia\nOutra linha",
        "slug": "cafe",
        "trial": "",
        "inviter": "Bia",
        "until": "amanhã",
    }
    written = write(template, locale, facts, url="https://a.example/x?a=1&b=2")
    assert "{" not in written.subject + written.text
    assert "\n" not in written.subject
    assert "<b>Ana" not in written.html
    assert "Café & Cia Outra linha" in written.text
    assert ("Hello" in written.text) is locale.startswith("en")
    assert f'lang="{"en" if locale.startswith("en") else "pt-BR"}"' in written.html


def test_without_a_frontend_the_letter_shows_the_code() -> None:
    written = write("invitation", "pt-BR", FACTS, code="abc.def")
    assert "Código: abc.def" in written.text
    assert token_in({"text": written.text}) == "abc.def"
    assert "href" not in written.html
