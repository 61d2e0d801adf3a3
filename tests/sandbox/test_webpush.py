"""The played push service refuses what the RFCs refuse, and reads what its own browsers may."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from scripts.sandbox.vendors.webpush import Browser, opened
from tests.sandbox.server import SandboxServer

KEY = ec.generate_private_key(ec.SECP256R1())


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def browser(sandbox: SandboxServer) -> dict[str, Any]:
    answer = await sandbox.http.post(f"{sandbox.url}/webpush/subscriptions")
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def body(subscription: dict[str, Any], text: bytes = "Olá, João".encode()) -> bytes:
    sealed: bytes = http_ece.encrypt(
        text,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=unb64(subscription["keys"]["p256dh"]),
        auth_secret=unb64(subscription["keys"]["auth"]),
        version="aes128gcm",
    )
    return sealed


def headers(url: str, key: ec.EllipticCurvePrivateKey = KEY, **claims: object) -> dict[str, str]:
    said = {"aud": url, "exp": int(time.time()) + 3600, "sub": "mailto:a@largo.example"} | claims
    signed: dict[str, str] = Vapid02(key, conf={"no-strict": True}).sign(said)
    return {
        "authorization": signed["Authorization"],
        "ttl": "60",
        "content-encoding": "aes128gcm",
    }


async def test_a_message_is_taken_and_read_for_the_list(sandbox: SandboxServer) -> None:
    made = await browser(sandbox)
    answer = await sandbox.http.post(
        made["endpoint"], content=body(made), headers=headers(sandbox.url)
    )
    assert answer.status_code == 201
    assert answer.headers["location"].startswith(f"{sandbox.url}/webpush/message/")
    [entry] = await sandbox.requests(vendor="webpush")
    assert (entry["preview"], entry["verdict"]) == ("Olá, João", "accepted")
    token = made["endpoint"].rpartition("/")[2]
    assert token not in json.dumps(entry)


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"ttl": ""}, 400, "TTL"),
        ({"content-encoding": "aesgcm"}, 400, "Content-Encoding"),
        ({"urgency": "asap"}, 400, "Urgency"),
        ({"topic": "x" * 33}, 400, "Topic"),
        ({"authorization": ""}, 403, "authorize"),
        ({"authorization": "vapid t=a.b.c,k=AAAA"}, 403, "signature"),
    ],
)
async def test_requests_are_checked(
    change: dict[str, str], status: int, reason: str, sandbox: SandboxServer
) -> None:
    made = await browser(sandbox)
    answer = await sandbox.http.post(
        made["endpoint"], content=body(made), headers=headers(sandbox.url) | change
    )
    assert answer.status_code == status
    assert reason in answer.json()["reason"]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://fcm.googleapis.com"}, "the token is for"),
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": int(time.time()) + 25 * 3600}, "24 hours"),
        ({"sub": "nobody"}, "contact"),
    ],
)
async def test_senders_identify_themselves(
    claims: dict[str, Any], reason: str, sandbox: SandboxServer
) -> None:
    made = await browser(sandbox)
    answer = await sandbox.http.post(
        made["endpoint"], content=body(made), headers=headers(sandbox.url, **claims)
    )
    assert answer.status_code == 403
    assert reason in answer.json()["reason"]


async def test_a_subscription_belongs_to_its_first_sender(sandbox: SandboxServer) -> None:
    made = await browser(sandbox)
    other = ec.generate_private_key(ec.SECP256R1())
    first, second = headers(sandbox.url), headers(sandbox.url, other)
    for sent, status in ((first, 201), (second, 403), (first, 201)):
        answer = await sandbox.http.post(made["endpoint"], content=body(made), headers=sent)
        assert answer.status_code == status


async def test_what_a_browser_cannot_open_and_what_is_too_large_is_refused(
    sandbox: SandboxServer,
) -> None:
    mine, other = await browser(sandbox), await browser(sandbox)
    for content, status in ((body(other), 400), (body(mine, b"x" * 4000), 413), (b"x", 400)):
        answer = await sandbox.http.post(
            mine["endpoint"], content=content, headers=headers(sandbox.url)
        )
        assert answer.status_code == status


async def test_knobs_end_and_slow_subscriptions(sandbox: SandboxServer) -> None:
    made = await browser(sandbox)
    for code, status in (("410", 410), ("404", 404), ("429", 429), ("http-503", 503)):
        await sandbox.put("webpush/knobs", error={"code": code, "times": 1, "retry_after_s": 7})
        answer = await sandbox.http.post(
            made["endpoint"], content=body(made), headers=headers(sandbox.url)
        )
        assert answer.status_code == status
        assert answer.headers.get("retry-after") == (None if status in (404, 410) else "7")


def test_the_example_of_the_rfc_opens() -> None:
    """RFC 8291 §5, the body and the keys of its example."""
    private = ec.derive_private_key(
        int.from_bytes(unb64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big"), ec.SECP256R1()
    )
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert point == unb64(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )
    sealed = unb64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    browser = Browser(private, unb64("BTBZMqHH6r4Tts7J_aSIgg"))
    assert opened(browser, sealed) == b"When I grow up, I want to be a watermelon"
