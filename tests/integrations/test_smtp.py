"""The carrier of e-mail against a mail server: the letter, the refusals, the doubts, TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.contracts.gateways.email import Email, EmailGateway
from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    GatewayUnavailable,
    Refusal,
)
from app.core.clock import now
from app.integrations.smtp.client import SmtpClient, SmtpServer
from tests.sandbox.server import SandboxServer

LETTER = Email(
    to="joana@cafe.example",
    subject="Convite para a Padaria São João",
    text="Olá, Joana.\n\nEste é o seu convite: https://app.example/convite?token=abc\n",
    html="<p>Olá, Joana.</p>",
    reference="invitation:0199",
)
PASSWORD = "senha-do-servidor-de-correio"


async def server_at(sandbox: SandboxServer) -> SmtpServer:
    sender = "Largo <nao-responda@largo.example>"
    return SmtpServer("127.0.0.1", await sandbox.smtp_port(), sender, tls="none", timeout_s=2)


async def failure_of(server: SmtpServer, letter: Email = LETTER) -> GatewayFailure:
    gateway: EmailGateway = SmtpClient(server)
    with pytest.raises(GatewayFailure) as caught:
        await gateway.send(letter)
    return caught.value


async def test_a_letter_arrives_as_it_was_written(sandbox: SandboxServer) -> None:
    client = SmtpClient(await server_at(sandbox))
    await client.send(LETTER)
    await client.send(LETTER)
    await client.send(replace(LETTER, reference="invitation:0200"))
    third, again, first = await sandbox.requests(vendor="smtp")
    assert (first["to"], first["status"], first["verdict"]) == (LETTER.to, 250, "accepted")
    body = first["body"]
    assert body["subject"] == LETTER.subject
    assert body["text"] == LETTER.text.rstrip()
    assert body["html"] == LETTER.html
    assert body["from"] == "nao-responda@largo.example"
    assert body["headers"]["from"] == "Largo <nao-responda@largo.example>"
    assert body["headers"]["auto-submitted"] == "auto-generated"
    assert body["message_id"].endswith("@largo.example>")
    assert again["body"]["message_id"] == body["message_id"] != third["body"]["message_id"]


async def test_a_subject_cannot_smuggle_a_header_in(sandbox: SandboxServer) -> None:
    letter = replace(LETTER, subject="Oi\r\nBcc: todos@exemplo.example")
    await SmtpClient(await server_at(sandbox)).send(letter)
    [entry] = await sandbox.requests(vendor="smtp")
    assert "bcc" not in entry["body"]["headers"]
    assert entry["to"] == LETTER.to


@pytest.mark.parametrize(
    ("code", "action", "scope"),
    [
        ("450", Refusal.RETRY, "recipient"),
        ("451", Refusal.RETRY, "message"),
        ("550", Refusal.PERMANENT, "recipient"),
        ("554", Refusal.PERMANENT, "message"),
        ("535", Refusal.AUTH, "account"),
    ],
)
async def test_a_refusal_says_what_it_asks_of_the_caller(
    sandbox: SandboxServer, code: str, action: Refusal, scope: str
) -> None:
    await sandbox.put("smtp/knobs", error={"code": code, "times": 1})
    failure = await failure_of(await server_at(sandbox))
    assert isinstance(failure, GatewayRefused)
    assert (failure.code, failure.action, failure.scope) == (code, action, scope)
    [entry] = await sandbox.requests(vendor="smtp")
    assert entry["verdict"] == "refused"


async def test_a_server_that_shuts_down_took_nothing(sandbox: SandboxServer) -> None:
    await sandbox.put("smtp/knobs", error={"code": "421", "times": 1})
    assert isinstance(await failure_of(await server_at(sandbox)), GatewayUnavailable)


async def test_nobody_listening_is_unavailable(sandbox: SandboxServer) -> None:
    server = replace(await server_at(sandbox), port=9)
    assert isinstance(await failure_of(server), GatewayUnavailable)


async def test_a_line_cut_after_the_letter_leaves_the_outcome_unknown(
    sandbox: SandboxServer,
) -> None:
    await sandbox.put("smtp/knobs", drop_answer=1)
    assert isinstance(await failure_of(await server_at(sandbox)), GatewayOutcomeUnknown)
    [entry] = await sandbox.requests(vendor="smtp")
    assert entry["verdict"] == "answer dropped"


async def test_a_server_that_never_answers_the_letter_leaves_it_unknown(
    sandbox: SandboxServer,
) -> None:
    await sandbox.put("smtp/knobs", latency_ms=600)
    server = replace(await server_at(sandbox), timeout_s=0.2)
    assert isinstance(await failure_of(server), GatewayOutcomeUnknown)


async def test_without_a_carrier_the_failure_says_what_to_set() -> None:
    failure = await failure_of(SmtpServer("", 587, ""))
    assert isinstance(failure, GatewayRefused)
    assert not failure.retryable
    assert "SMTP_HOST" in str(failure)
    assert "SMTP_FROM" in str(failure)


async def test_an_address_that_is_none_is_refused_for_good(sandbox: SandboxServer) -> None:
    failure = await failure_of(await server_at(sandbox), replace(LETTER, to="joana@\r\nDATA"))
    assert isinstance(failure, GatewayRefused)
    assert (failure.action, failure.scope) == (Refusal.PERMANENT, "recipient")
    assert await sandbox.requests(vendor="smtp") == []


class Postbox:
    """A mail server with STARTTLS and one login; keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[tuple[bool, bool]] = []

    async def handle_DATA(  # noqa: N802 - the library looks it up by this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.taken.append((session.ssl is not None, session.authenticated or False))
        return "250 OK"


def certificate(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own, and a client's that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = directory / "server.pem"
    file.write_bytes(made.public_bytes(pem) + secret)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(file)
    believing = ssl.create_default_context(cadata=made.public_bytes(pem).decode())
    return served, believing


@asynccontextmanager
async def secured(context: ssl.SSLContext, box: Postbox) -> AsyncIterator[int]:
    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=known, handled=False)

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(
            box,
            hostname="postbox",
            loop=loop,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=check,
        ),
        "127.0.0.1",
        0,
    )
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def test_starttls_guards_the_login_and_believes_only_known_certificates(
    tmp_path: Path,
) -> None:
    served, believing = certificate(tmp_path)
    box = Postbox()
    async with secured(served, box) as port:
        server = SmtpServer("127.0.0.1", port, "largo@largo.example", "largo", PASSWORD)
        known = replace(server, trust=believing)
        await SmtpClient(known).send(LETTER)
        assert box.taken == [(True, True)]
        assert isinstance(await failure_of(server), GatewayUnavailable)
        wrong = await failure_of(replace(known, password="uma-senha-errada-qualquer"))
        assert isinstance(wrong, GatewayRefused)
        assert (wrong.action, wrong.scope) == (Refusal.AUTH, "account")
        assert "uma-senha-errada" not in str(wrong)
        assert len(box.taken) == 1


async def test_a_server_without_starttls_gets_no_letter(sandbox: SandboxServer) -> None:
    server = replace(await server_at(sandbox), tls="starttls")
    assert isinstance(await failure_of(server), GatewayUnavailable)
    assert await sandbox.requests(vendor="smtp") == []
