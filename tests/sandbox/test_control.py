"""The control plane and the page: listing, filters, knobs, masking, bounds."""

from __future__ import annotations

import re

import pytest

from scripts.sandbox.knobs import ErrorKnob, Knobs
from scripts.sandbox.recorder import Recorder
from tests.sandbox.server import Json, SandboxServer

BOT = "7001234567:AAHsecretTokenOfTheBot"


async def say(sandbox: SandboxServer, text: str, chat: int = 42) -> int:
    url = f"{sandbox.url}/telegram/bot{BOT}/sendMessage"
    answer = await sandbox.http.post(url, json={"chat_id": chat, "text": text})
    return answer.status_code


async def test_requests_are_listed_newest_first_and_filtered(sandbox: SandboxServer) -> None:
    for text in ("primeiro", "Açaí do segundo", "terceiro"):
        assert await say(sandbox, text) == 200
    await sandbox.http.post(f"{sandbox.url}/nowhere", json={"x": 1})
    texts = [entry["preview"] for entry in await sandbox.requests(vendor="telegram")]
    assert texts == ["terceiro", "Açaí do segundo", "primeiro"]
    assert [e["preview"] for e in await sandbox.requests(contains="açaí")] == ["Açaí do segundo"]
    assert [e["path"] for e in await sandbox.requests(vendor="unknown")] == ["/nowhere"]
    assert len(await sandbox.requests(limit="2")) == 2
    await sandbox.http.delete(f"{sandbox.url}/_sandbox/requests")
    assert await sandbox.requests() == []


async def test_what_is_listed_holds_no_whole_token(sandbox: SandboxServer) -> None:
    await say(sandbox, "oi")
    await sandbox.http.post(
        f"{sandbox.url}/graph/v23.0/1/messages", headers={"authorization": "Bearer EAAGsecretToken"}
    )
    listed = str(await sandbox.requests())
    assert "EAAGsecretToken" not in listed
    assert BOT not in listed
    assert "/telegram/bot***eBot/sendMessage" in listed


async def test_an_error_is_given_the_asked_number_of_times(sandbox: SandboxServer) -> None:
    await sandbox.put("telegram/knobs", error={"code": "403", "times": 2})
    assert [await say(sandbox, "oi") for _ in range(3)] == [403, 403, 200]
    await sandbox.put("telegram/knobs", error={"code": "403"})
    assert [await say(sandbox, "oi") for _ in range(3)] == [403, 403, 403]
    await sandbox.put("telegram/knobs")
    assert await say(sandbox, "oi") == 200


def test_an_error_with_a_probability_hits_about_that_share() -> None:
    knobs = Knobs(error=ErrorKnob(code="403", probability=0.3))
    hits = sum(knobs.take_error() is not None for _ in range(4000))
    assert 1000 < hits < 1400  # five standard deviations are 145


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("telegram/knobs", {"latency_ms": -1}),
        ("telegram/knobs", {"latencia": 1}),
        ("telegram/knobs", {"error": {"code": "boom"}}),
        ("telegram/knobs", [1]),
        ("whatsapp", {"attempts": 0}),
        ("whatsapp", {"webhook": "x"}),
    ],
)
async def test_wrong_settings_are_refused_and_change_nothing(
    path: str, body: Json, sandbox: SandboxServer
) -> None:
    before = (await sandbox.http.get(f"{sandbox.url}/_sandbox/{path}")).json()
    answer = await sandbox.http.put(f"{sandbox.url}/_sandbox/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert (await sandbox.http.get(f"{sandbox.url}/_sandbox/{path}")).json() == before


async def test_an_unknown_vendor_has_no_settings(sandbox: SandboxServer) -> None:
    for path in ("zapzap", "zapzap/knobs"):
        answer = await sandbox.http.put(f"{sandbox.url}/_sandbox/{path}", json={})
        assert answer.status_code == 404


def test_the_memory_is_bounded() -> None:
    recorder = Recorder(keep=3)
    for number in range(5):
        recorder.open("telegram", "POST", f"/{number}", {}, None)
    assert [entry.path for entry in recorder.newest()] == ["/4", "/3", "/2"]


@pytest.mark.parametrize(
    ("language", "title"),
    [("pt-BR,pt;q=0.9", "Caixa de areia dos provedores"), ("en-GB", "Provider sandbox")],
)
async def test_the_page_speaks_the_readers_language(
    language: str, title: str, sandbox: SandboxServer
) -> None:
    answer = await sandbox.http.get(f"{sandbox.url}/", headers={"accept-language": language})
    assert f"<h1>{title}</h1>" in answer.text
    assert "@@" not in answer.text


async def test_the_page_runs_only_its_own_script_and_loads_nothing_foreign(
    sandbox: SandboxServer,
) -> None:
    await say(sandbox, "<img src=x onerror=alert(1)>")
    answer = await sandbox.http.get(f"{sandbox.url}/?lang=%3Cscript%3E")
    policy = answer.headers["content-security-policy"]
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
    assert nonce is not None
    assert "default-src 'none'" in policy
    assert set(re.findall(r'nonce="([^"]*)"', answer.text)) == {nonce[1]}
    assert "onerror" not in answer.text
    assert "innerHTML" not in answer.text
    assert re.findall(r"https?://", answer.text) == []
