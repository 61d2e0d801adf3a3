"""Who may deliver, what is stored of it, and for whom."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.conversations.inbound.intake import is_signed, signed, take_in
from app.kernel.inbox.problems import WebhookSignatureInvalid
from tests.conversations.inbound.line import (
    URL,
    Line,
    deliveries,
    digits,
    drain,
    envelope,
    make_line,
    of_nobody,
    post,
)
from tests.factories.tenants import World

SAMPLES = Path(os.environ.get("ACCEPTANCE_DATA", "/nonexistent")) / "whatsapp"


def test_signatures_are_judged_as_the_check_data_says() -> None:
    path = SAMPLES / "signature_vectors.json"
    if not path.is_file():
        pytest.skip(f"no check data at {path}")
    cases = json.loads(path.read_text())["cases"]
    assert cases
    for case in cases:
        good = is_signed(case["header"] or "", case["body"].encode(), [SecretStr(case["secret"])])
        assert good == case["valid"], case["name"]


def test_a_signature_is_of_the_raw_bytes_by_any_secret_and_never_by_an_empty_one() -> None:
    body = b'{"name": "Jo\\u00e3o"}'
    old, new = SecretStr("velho"), SecretStr("novo")
    for secret in ("velho", "novo"):
        assert is_signed(signed(secret, body), body, [new, old])
    assert not is_signed(signed("velho", body), b'{"name": "Jo\xc3\xa3o"}', [new, old])
    assert not is_signed(signed("velho", body).upper(), body, [new, old])
    assert not is_signed(signed("velho", body).removeprefix("sha256="), body, [old])
    assert not is_signed(signed("", body), body, [SecretStr("")])
    assert not is_signed("", body, [old])
    assert not is_signed("sha256=é", body, [old])


async def test_the_challenge_is_answered_to_who_knows_the_token(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    own = f"{URL}/{line.world.tenant.slug}"
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
    good = await anonymous.get(own, params=asked | {"hub.verify_token": line.verify_token})
    assert (good.status_code, good.text) == (200, "1158201444")
    assert good.headers["content-type"].startswith("text/plain")
    for url, params in (
        (own, asked | {"hub.verify_token": "outro"}),
        (own, asked | {"hub.verify_token": ""}),
        (own, asked | {"hub.verify_token": line.verify_token, "hub.mode": "unsubscribe"}),
        (f"{URL}/ninguem", asked | {"hub.verify_token": line.verify_token}),
        (URL, asked | {"hub.verify_token": ""}),
    ):
        refused = await anonymous.get(url, params=params)
        assert refused.status_code == 403
        assert refused.json()["code"] == "whatsapp-verify-token-wrong"
        assert "1158201444" not in refused.text


async def test_a_bad_signature_stores_nothing(line: Line, anonymous: httpx.AsyncClient) -> None:
    body = envelope(line.entry(line.change(messages=[line.message()])))
    for header in ("", "sha256=", signed("outro", body), signed(line.secret, body + b" ")):
        for url in (URL, f"{URL}/{line.world.tenant.slug}", f"{URL}/ninguem"):
            answer = await anonymous.post(
                url, content=body, headers={"X-Hub-Signature-256": header}
            )
            assert answer.status_code == 401
            assert answer.json()["code"] == "webhook-signature-invalid"
    assert await deliveries(line.world) == []
    assert await of_nobody(line.world, body) == []


async def test_either_secret_signs_and_the_raw_bytes_are_kept_once(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    first = envelope(line.entry(line.change(messages=[line.message()])))
    second = envelope(line.entry(line.change(messages=[line.message()]))) + b"\n "
    for body, secret in ((first, line.secret), (second, line.old_secret), (first, line.secret)):
        assert (await post(anonymous, body, secret)).status_code == 200
    assert [row.body for row in await deliveries(line.world)] == [first, second]
    await drain(line.world)
    assert len(await line.messages()) == 2
    assert {row.state for row in await deliveries(line.world)} == {"done"}


async def test_a_body_beyond_the_cap_is_refused(line: Line, anonymous: httpx.AsyncClient) -> None:
    body = b" " * 3_000_001
    answer = await post(anonymous, body, line.secret, slug=line.world.tenant.slug)
    assert answer.status_code == 413
    assert await deliveries(line.world) == []


async def test_one_delivery_of_two_tenants_is_each_ones_own_part(
    line: Line, stranger: World, anonymous: httpx.AsyncClient
) -> None:
    """An agency has one app for both, and so one secret."""
    other = await make_line(stranger, secret=line.secret)
    mine, theirs = line.message(), other.message()
    body = envelope(
        line.entry(line.change(messages=[mine])), other.entry(other.change(messages=[theirs]))
    )
    assert (await post(anonymous, body, line.secret)).status_code == 200
    await drain(line.world)
    await drain(stranger)
    assert [m.wamid for m in await line.messages()] == [mine["id"]]
    assert [m.wamid for m in await other.messages()] == [theirs["id"]]


async def test_the_platforms_own_app_signs_for_everybody(line: Line, stranger: World) -> None:
    other = await make_line(stranger)
    mine, theirs = line.message(), other.message()
    unknown = digits(15)
    body = envelope(
        line.entry(line.change(messages=[mine])),
        other.entry(other.change(messages=[theirs])),
        {"id": unknown, "changes": [{"field": "flows", "value": {}}]},
    )
    runtime = line.world.runtime
    set_up = runtime.settings.model_copy(update={"whatsapp_app_secret": SecretStr("da plataforma")})
    headers = {"x-hub-signature-256": signed("da plataforma", body)}

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:100]
        yield body[100:]

    with pytest.raises(WebhookSignatureInvalid):
        await take_in(runtime, None, headers, chunks())
    assert await take_in(replace(runtime, settings=set_up), None, headers, chunks()) == 3
    await drain(line.world)
    await drain(stranger)
    assert [m.wamid for m in await line.messages()] == [mine["id"]]
    assert [m.wamid for m in await other.messages()] == [theirs["id"]]
    assert len(await of_nobody(line.world, body)) == 1


async def test_a_secret_speaks_for_its_own_tenant_alone(
    line: Line, stranger: World, anonymous: httpx.AsyncClient
) -> None:
    """Whoever has a number here cannot put words into another tenant's inbox."""
    other = await make_line(stranger)
    mine, forged = line.message(), other.message()
    body = envelope(
        line.entry(line.change(messages=[mine])), other.entry(other.change(messages=[forged]))
    )
    assert (await post(anonymous, body, line.secret)).status_code == 200
    await drain(line.world)
    await drain(stranger)
    assert [m.wamid for m in await line.messages()] == [mine["id"]]
    assert await other.messages() == []
    assert await deliveries(stranger) == []
    [left] = await of_nobody(line.world, body)
    assert left.state == "unclaimed"


async def test_an_address_that_is_not_the_numbers_own_tenants_is_nobodys(
    line: Line, stranger: World, anonymous: httpx.AsyncClient
) -> None:
    other = await make_line(stranger)
    body = envelope(other.entry(other.change(messages=[other.message()])))
    slug = line.world.tenant.slug
    assert (await post(anonymous, body, line.secret, slug=slug)).status_code == 200
    assert (await post(anonymous, body, other.secret, slug=slug)).status_code == 401
    for world in (line.world, stranger):
        await drain(world)
        assert await deliveries(world) == []
    assert await other.messages() == []
    assert [row.state for row in await of_nobody(line.world, body)] == ["unclaimed"]


async def test_what_cannot_be_read_is_kept_and_answered(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    slug = line.world.tenant.slug
    for body in (b"not json", b"[]", b'{"entry": 7}', b"\xff\xfe"):
        body += b" " + line.phone_number_id.encode()
        assert (await post(anonymous, body, line.secret, slug=slug)).status_code == 200
        [row] = await of_nobody(line.world, body)
        assert row.body == body


async def test_whoever_has_no_secret_is_told_so_at_once_however_many_numbers_they_name(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    changes = [
        {"field": "messages", "value": {"metadata": {"phone_number_id": f"{n}"}}}
        for n in range(20_000)
    ]
    body = envelope(line.entry(*changes, line.change(messages=[line.message()])))
    started = time.monotonic()
    assert (await post(anonymous, body, "outro")).status_code == 401
    assert time.monotonic() - started < 2
    assert (await post(anonymous, body, line.secret)).status_code == 200
    assert len(await deliveries(line.world)) == 1
