"""Our requests, error classes and signatures against the vendor's published examples.

``ACCEPTANCE_DATA`` names a folder with ``whatsapp/*.json``; without it these tests are skipped.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

import httpx
import pytest

from app.contracts.gateways.messaging import (
    GatewayOutcomeUnknown,
    GatewayRefused,
)
from app.contracts.gateways.whatsapp import OUTBOUND, WhatsAppAccount
from app.core.guard import Guard
from app.core.http import Answer
from app.integrations.whatsapp.cloud import CloudApi
from app.integrations.whatsapp.errors import failure_of
from app.integrations.whatsapp.graph import Graph
from scripts.sandbox.vendors.whatsapp_notices import sign
from scripts.sandbox.vendors.whatsapp_rules import KINDS
from tests.sandbox.server import Json, SandboxServer

FOLDER = Path(os.environ.get("ACCEPTANCE_DATA", "/nonexistent")) / "whatsapp"
PHONE = "16315555555"
SHOP = WhatsAppAccount("EAAGtoken", "109876543210987")

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="ACCEPTANCE_DATA does not name a folder with whatsapp/*.json"
)


def cases(name: str) -> Json:
    path = FOLDER / name
    return json.loads(path.read_text(encoding="utf-8"))["cases"] if path.exists() else {}


async def sent_by_us(sandbox: SandboxServer) -> Json:
    [entry] = await sandbox.requests(vendor="whatsapp")
    assert entry["verdict"] == "accepted"
    return entry["body"]


MEANT = {
    "language-and-locale-code": "pt_BR",
    "template-name": "pedido_a_caminho",
    "<TEMPLATE_NAME>": "pedido_a_caminho",
    "<HEADER_TYPE>": "text",
    "<BUTTON_TITLE_1>": "Sim",
    "<BUTTON_TITLE_2>": "Agora não",
    "<http(s)://": "https://exemplo.example/",
    "http(s)://": "https://exemplo.example/",
}
"""What stands where an example shows a placeholder that says less than the field asks for."""


def meant(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: meant(part) for key, part in value.items()}
    if isinstance(value, list):
        return [meant(part) for part in value]
    if not isinstance(value, str):
        return value
    for shown, real in MEANT.items():
        if value.startswith(shown):
            return real + value[len(shown) :].rstrip(">") if shown.endswith("//") else real
    return value[:24] if value.startswith("<") and "TITLE" in value else value


def sends() -> list[Json]:
    return [
        pytest.param(meant(body), id=name)
        for name, body in cases("meta_send_requests.json").items()
    ]


@pytest.mark.parametrize("example", sends())
async def test_every_official_request_is_made_by_our_client(
    example: Json, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    """Read as a message of ours and sent, it is the same JSON but for what may be left out."""
    api = CloudApi(Graph(http, Guard(), f"{sandbox.url}/graph", "v23.0"))
    if "status" in example:
        await api.mark_read(SHOP, example["message_id"], typing="typing_indicator" in example)
        assert await sent_by_us(sandbox) == example
        return
    envelope = {"messaging_product", "recipient_type", "to"}
    kind = next(k for k in (*KINDS, "text") if k in example)
    content = {"type": kind} | {k: v for k, v in example.items() if k not in envelope}
    await api.send(SHOP, PHONE, OUTBOUND.validate_python(content), reference="")
    told = {"recipient_type": "individual", "type": kind} | example | {"to": PHONE}
    assert await sent_by_us(sandbox) == told


async def test_the_sandbox_accepts_every_official_request(
    sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    url = f"{sandbox.url}/graph/v23.0/109876543210987/messages"
    refused = {}
    for name, body in cases("meta_send_requests.json").items():
        filled = body | ({"to": PHONE} if "to" in body and "{" in body["to"] else {})
        answer = await http.post(url, json=filled, headers={"authorization": "Bearer EAAGtoken"})
        if answer.status_code != 200:
            refused[name] = answer.text
    assert refused == {}
    assert len(await sandbox.requests()) > 40


def error_codes() -> list[Json]:
    """The vendor's own codes; the other rows tell how a call ended (test_http.py)."""
    rows = ((str(row["code"]).split("-")[0], row) for row in cases("error_codes.json"))
    return [pytest.param(int(code), row, id=code) for code, row in rows if code.isdecimal()]


@pytest.mark.parametrize(("code", "row"), error_codes())
def test_each_error_code_is_classified_as_documented(code: int, row: Json) -> None:
    failure = failure_of(Answer(row["http"] or 400, {"error": {"code": code}}), "token")
    if row["class"] == "ambiguous":
        assert isinstance(failure, GatewayOutcomeUnknown)
        return
    assert isinstance(failure, GatewayRefused)
    assert failure.action == row["class"].replace("_", "-")
    assert failure.scope == row["scope"]


@pytest.mark.parametrize(
    "vector", [pytest.param(row, id=row["name"]) for row in cases("signature_vectors.json")]
)
def test_signature_vectors_verify(vector: Json) -> None:
    """Both by our signer and computed here, so that the two cannot be wrong together."""
    ours = sign(vector["secret"], vector["body"])
    digest = hmac.digest(vector["secret"].encode(), vector["body"].encode(), hashlib.sha256)
    assert ours == f"sha256={digest.hex()}"
    assert (ours == vector["header"]) is vector["valid"]
