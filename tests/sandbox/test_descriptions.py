"""Requests are held against the vendors' own descriptions, strictly; see ``descriptions``.

All that the suite sends is judged when a sandbox ends (``server.sandbox_url``); here is shown
that the judge can say no.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from scripts.sandbox.app import create_app
from scripts.sandbox.settings import SandboxSettings
from tests.sandbox.descriptions import FOLDER, FORM, Asked, description, faults, is_there
from tests.sandbox.forms import nested
from tests.sandbox.server import against_descriptions

needs_descriptions = pytest.mark.skipif(
    not is_there(), reason=f"PROVIDER_SPECS: no descriptions of vendors in {FOLDER}"
)
_PAY = {
    "mode": "subscription",
    "success_url": "https://loja.example/ok",
    "line_items[0][price]": "price_1",
    "line_items[0][quantity]": "1",
    "subscription_data[metadata][tenant_id]": "t",
}
_ASK = {"model": "m", "messages": [{"role": "user", "content": "Oi"}]}
_REFRESH = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "c"}


def _form(path: str, **fields: str) -> Asked:
    return Asked("POST", path, {"content-type": FORM}, urlencode(fields))


def _json(path: str, body: Any, **headers: str) -> Asked:
    sent = {"content-type": "application/json", **headers}
    return Asked("POST", path, sent, json.dumps(body))


_SESSIONS, _CHAT = "/stripe/v1/checkout/sessions", "/openai/v1/chat/completions"
_VERSION = {"anthropic-version": "2023-06-01", "x-api-key": "***"}
_SENDS: dict[str, Asked] = {
    "payment": _form(_SESSIONS, **_PAY),
    "chat": _json(_CHAT, _ASK),
    "message": _json("/anthropic/v1/messages", {**_ASK, "max_tokens": 9}, **_VERSION),
    "token": _form("/google/token", **_REFRESH),
}
_WRONG: dict[str, tuple[Asked, str]] = {
    "misspelt field": (_form(_SESSIONS, **_PAY, sucess_url="x"), "sucess_url"),
    "no such word": (_form(_SESSIONS, **_PAY | {"mode": "subscripton"}), "subscripton"),
    "a word for a number": (
        _form(_SESSIONS, **_PAY | {"line_items[0][quantity]": "um"}),
        "'um' is not of type",
    ),
    "no such path": (_form("/stripe/v1/checkout/session", **_PAY), "no such path"),
    "no such method": (Asked("PUT", _CHAT, {}, ""), "no such path"),
    "a missing field": (_json("/anthropic/v1/messages", _ASK, **_VERSION), "max_tokens"),
    "a missing header": (
        _json("/anthropic/v1/messages", {**_ASK, "max_tokens": 9}, **{"x-api-key": "***"}),
        "anthropic-version is missing",
    ),
    "a missing body": (Asked("POST", _CHAT, {}, ""), "the body is missing"),
    "another type": (Asked("POST", _CHAT, {"content-type": FORM}, "a=b"), "the body is"),
    "no JSON": (Asked("POST", _CHAT, {"content-type": "application/json"}, "{"), "cannot be read"),
    "a field too many": (_form("/google/token", **_REFRESH, tenant="t"), "tenant"),
}


@needs_descriptions
@pytest.mark.parametrize("name", list(_SENDS))
def test_what_is_right_passes(name: str) -> None:
    assert faults(_SENDS[name]) == []


@needs_descriptions
@pytest.mark.parametrize("name", list(_WRONG))
def test_what_is_wrong_is_named(name: str) -> None:
    asked, word = _WRONG[name]
    found = faults(asked)
    assert found
    assert any(word in fault for fault in found), found


@needs_descriptions
def test_the_samples_beside_the_descriptions_are_judged_as_they_say() -> None:
    cases = json.loads((FOLDER / "sample-requests.json").read_text())["cases"]
    judged = []
    for case in cases:
        of = description(case["spec"])
        [*bases] = [s["url"] for s in of.document.get("servers", [])]
        url = case["host"] + case["path"]
        base = next((b for b in bases if url.startswith(b)), case["host"])
        kind = case["content_type"]
        body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
        operation = of.operation(case["method"], url.partition("?")[0].removeprefix(base))
        headers = {"content-type": kind, **_VERSION, "x-goog-api-key": "***"}
        asked = Asked(case["method"], url, headers, body)
        judged.append(operation is not None and not list(operation.faults(asked)))
    assert judged == [case["valid"] for case in cases]
    assert {True, False} == set(judged)


@needs_descriptions
async def test_a_fault_in_what_a_sandbox_took_is_found_in_its_journal(tmp_path: Path) -> None:
    """A field that the vendor does not know, and the sandbox does not look at."""
    journal = tmp_path / "journal"
    sandbox = httpx.ASGITransport(create_app(SandboxSettings(journal=str(journal))))
    headers = {"authorization": "Bearer sk-chave-1234"}
    async with httpx.AsyncClient(transport=sandbox, base_url="http://sandbox") as http:
        for body in (
            {**_ASK, "max_completion_tokens": 5},
            {**_ASK, "max_completions_tokens": 5},
            {**_ASK, "messages": []},
        ):
            answer = await http.post(_CHAT, json=body, headers=headers)
            assert answer.status_code == (200 if body["messages"] else 400)
    assert "sk-chave-1234" not in journal.read_text()
    [fault] = against_descriptions(journal)
    assert "max_completions_tokens" in fault


def test_a_form_with_brackets_is_read_as_what_it_stands_for() -> None:
    schema = {
        "properties": {
            "a": {"type": "array", "items": {"properties": {"n": {"type": "integer"}}}},
            "on": {"type": ["string", "boolean"]},
        }
    }
    found = nested("a[0][n]=1&a[1][n]=x&on=true&more[k]=2", schema, lambda part: part)
    assert found == {"a": [{"n": 1}, {"n": "x"}], "on": True, "more": {"k": "2"}}
