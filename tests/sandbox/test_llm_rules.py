"""The played language models refuse what the real ones refuse, in their words and shapes."""

from __future__ import annotations

import pytest

from tests.sandbox.server import Json, SandboxServer

ROOM = "O que foi decidido?"
OPENAI: dict[str, Json] = {"model": "m", "messages": [{"role": "user", "content": ROOM}]}
ANTHROPIC: dict[str, Json] = {**OPENAI, "max_tokens": 50}
GEMINI: dict[str, Json] = {"contents": [{"role": "user", "parts": [{"text": ROOM}]}]}
PATHS = {
    "openai": ("/openai/v1/chat/completions", {"authorization": "Bearer sk-chave-1234"}),
    "anthropic": (
        "/anthropic/v1/messages",
        {"x-api-key": "sk-chave-1234", "anthropic-version": "2023-06-01"},
    ),
    "gemini": ("/gemini/v1beta/models/m:generateContent", {"x-goog-api-key": "sk-chave-1234"}),
}
BODIES = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}
SYSTEM = {"role": "system", "content": "x"}


@pytest.mark.parametrize(
    ("vendor", "change", "words"),
    [
        ("openai", {"model": ""}, "model"),
        ("openai", {"messages": []}, "messages"),
        ("openai", {"messages": [{"role": "robot", "content": "x"}]}, "messages"),
        ("openai", {"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ("openai", {"response_format": {"type": "json_schema", "json_schema": {}}}, "name"),
        ("anthropic", {"max_tokens": None}, "max_tokens"),
        ("anthropic", {"messages": [SYSTEM]}, "system"),
        ("gemini", {"contents": []}, "contents"),
        ("gemini", {"contents": [{"role": "assistant", "parts": []}]}, "role"),
        ("gemini", {"generationConfig": {"responseJsonSchema": {}}}, "responseMimeType"),
    ],
)
async def test_a_request_that_the_vendor_does_not_take(
    vendor: str, change: dict[str, Json], words: str, sandbox: SandboxServer
) -> None:
    path, headers = PATHS[vendor]
    body = BODIES[vendor]
    good = await sandbox.http.post(sandbox.url + path, json=body, headers=headers)
    refused = await sandbox.http.post(sandbox.url + path, json=body | change, headers=headers)
    assert good.status_code == 200
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]


@pytest.mark.parametrize("vendor", list(PATHS))
async def test_a_key_is_wanted_and_never_listed(vendor: str, sandbox: SandboxServer) -> None:
    path, headers = PATHS[vendor]
    without = {k: v for k, v in headers.items() if k == "anthropic-version"}
    naked = await sandbox.http.post(sandbox.url + path, json=BODIES[vendor], headers=without)
    assert naked.status_code == 401
    assert (
        await sandbox.http.post(sandbox.url + path, json=BODIES[vendor], headers=headers)
    ).is_success
    [entry, _] = await sandbox.requests(vendor=vendor)
    assert entry["preview"] == ROOM
    assert "sk-chave-1234" not in str(entry)
    assert "***1234" in str(entry["headers"])


async def test_the_same_question_gets_the_same_answer(sandbox: SandboxServer) -> None:
    path, headers = PATHS["openai"]
    first, second = [
        (await sandbox.http.post(sandbox.url + path, json=OPENAI, headers=headers)).json()
        for _ in range(2)
    ]
    assert first == second
    assert first["usage"]["prompt_tokens"] == -(-len(ROOM) // 4) + 4
