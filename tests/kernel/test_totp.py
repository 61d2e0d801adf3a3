"""The second factor: enrolled with a password, asked for at login, each code good once."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import httpx
import pytest
from sqlalchemy import func, select

from app.core.settings import Settings
from app.kernel.audit.models import AuditEntry
from app.kernel.sessions import service as sessions
from app.kernel.sessions.models import UserSession
from app.kernel.totp.models import TotpFactor
from app.kernel.totp.rules import STEP_S, accepted_step, code_at, otpauth_uri
from tests.factories.tenants import PASSWORD, Member, World
from tests.factories.totp import TOTP, code_of, enrol, secret_of
from tests.kernel.conftest import ClientOf

LOGIN, SECOND = "/api/v1/auth/login", "/api/v1/auth/login/totp"
ME = "/api/v1/auth/me"


async def _first_step(client: httpx.AsyncClient, member: Member) -> dict[str, Any]:
    answer = await client.post(LOGIN, json={"email": member.email, "password": PASSWORD})
    client.cookies.clear()
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _second_step(client: httpx.AsyncClient, challenge: str, code: str) -> httpx.Response:
    answer = await client.post(SECOND, json={"challenge": challenge, "code": code})
    client.cookies.clear()
    return answer


async def _count(world: World, model: type, *where: Any) -> int:
    async with world.work() as work:
        found = await work.session.scalar(select(func.count()).select_from(model).where(*where))
    return found or 0


async def _told(world: World, action: str) -> int:
    return await _count(world, AuditEntry, AuditEntry.action == action)


def _refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B: the last six digits of its eight."""
    secret = b"12345678901234567890"
    for at, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert code_at(secret, at) == code
        step = at // STEP_S
        assert accepted_step(secret, code, at, after=0) == step
        assert accepted_step(secret, code, at, after=step) is None, "spent"
        assert accepted_step(secret, code, at + STEP_S, after=0) == step
        assert accepted_step(secret, code, at + 2 * STEP_S, after=0) is None
    assert accepted_step(secret, "é12345", 59, after=0) is None


def test_the_uri_survives_any_name() -> None:
    found = urlsplit(otpauth_uri(b"x" * 20, "Largo Pão & Cia: 1", "a+b@example.com"))
    assert (found.scheme, found.netloc) == ("otpauth", "totp")
    facts = parse_qs(found.query)
    assert facts["issuer"] == ["Largo Pão & Cia: 1"]
    assert secret_of(facts["secret"][0]) == b"x" * 20
    assert found.path.count(":") == 1


async def test_enrol_and_log_in(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    offer = (await owner.post(TOTP, json={"password": PASSWORD})).json()
    assert offer["otpauth_uri"].startswith("otpauth://totp/Largo")
    assert offer["secret"] in offer["otpauth_uri"]
    svg = ElementTree.fromstring(offer["qr_svg"])  # noqa: S314 - our own answer
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert (await _first_step(shopper, world.owner))["step"] == "done", "only offered yet"
    assert (await owner.get(TOTP)).json()["is_on"] is False

    secret, codes = await enrol(owner)
    assert len(set(codes)) == 10
    state = (await owner.get(TOTP)).json()
    assert (state["is_on"], state["recovery_codes_left"]) == (True, 10)
    live = await _count(world, UserSession, UserSession.revoked_at.is_(None))
    assert live == 1, "opened with the password alone: over"

    first = await _first_step(shopper, world.owner)
    assert first["step"] == "totp-required"
    assert set(first) == {"step", "challenge", "expires_in"}
    answer = await _second_step(shopper, first["challenge"], code_of(secret))
    assert answer.status_code == 200, answer.text
    assert "admin_token=" in answer.headers["set-cookie"]
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await shopper.get(ME, headers=bearer)).json()["email"] == world.owner.email


async def test_one_code_twice_at_once_is_one_login(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    secret, codes = await enrol(owner)
    before = await _count(world, UserSession)
    for code in (code_of(secret), codes[3]):
        tokens = [(await _first_step(shopper, world.owner))["challenge"] for _ in range(2)]
        answers = await asyncio.gather(
            *(_second_step(shopper, tokens[n % 2], code) for n in range(4))
        )
        assert sorted(a.status_code for a in answers) == [200, 403, 403, 403]
        assert {a.json()["code"] for a in answers if a.status_code == 403} == {"code-refused"}
    assert await _count(world, UserSession) == before + 2
    assert await _told(world, "auth.code_refused") == 6


async def test_a_recovery_code_as_people_type_it_works_once(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    _, codes = await enrol(owner)
    challenge = (await _first_step(shopper, world.owner))["challenge"]
    typed = f" {codes[0].replace('-', ' ').upper()} "
    assert (await _second_step(shopper, challenge, typed)).status_code == 200
    _refused(await _second_step(shopper, challenge, codes[0]), 403, "code-refused")
    assert (await owner.get(TOTP)).json()["recovery_codes_left"] == 9
    async with world.work() as work:
        factor = (await work.session.scalars(select(TotpFactor))).one()
    stored = f"{factor.secret} {factor.recovery_hashes}"
    assert not [code for code in codes if code.replace("-", "") in stored]


async def test_wrong_codes_open_nothing_and_are_throttled(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    secret, _ = await enrol(owner)
    before = await _count(world, UserSession)
    challenge = (await _first_step(shopper, world.owner))["challenge"]
    wrong = f"{(int(code_of(secret)) + 1) % 10**6:06}"
    answers = [await _second_step(shopper, challenge, wrong) for _ in range(12)]
    _refused(answers[0], 403, "code-refused")
    _refused(answers[-1], 429, "too-many-logins")
    assert int(answers[-1].headers["retry-after"]) > 60
    _refused(await _second_step(shopper, challenge, code_of(secret)), 429, "too-many-logins")
    assert await _count(world, UserSession) == before


async def test_challenges_are_bound_to_time_tenant_and_password(
    owner: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret, _ = await enrol(owner)
    challenge = (await _first_step(shopper, world.owner))["challenge"]
    _refused(await _second_step(outsider, challenge, code_of(secret)), 401, "challenge-refused")
    forged = challenge[:-4] + "AAAA"
    _refused(await _second_step(shopper, forged, code_of(secret)), 401, "challenge-refused")
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "_CHALLENGE_S", -1.0)
        late = (await _first_step(shopper, world.owner))["challenge"]
    _refused(await _second_step(shopper, late, code_of(secret)), 401, "challenge-refused")
    change = {"current_password": PASSWORD, "password": "massa fina e crocante"}
    assert (await owner.post("/api/v1/auth/password/change", json=change)).status_code == 204
    _refused(await _second_step(shopper, challenge, code_of(secret)), 401, "challenge-refused")
    assert await _count(world, UserSession) == 1


async def test_a_challenge_is_not_an_access_token(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    await enrol(owner)
    challenge = (await _first_step(shopper, world.owner))["challenge"]
    bearer = {"Authorization": f"Bearer {challenge}"}
    assert (await shopper.get(ME, headers=bearer)).status_code == 401


async def test_who_was_locked_out_meanwhile_stays_out(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent = await world.member("agent")
    secret, _ = await enrol(await client_of(world, agent))
    challenge = (await _first_step(shopper, agent))["challenge"]
    await owner.delete(f"/api/v1/admin/users/{agent.id}")
    _refused(await _second_step(shopper, challenge, code_of(secret)), 401, "challenge-refused")


async def test_enrolling_needs_the_password_and_the_first_code(
    owner: httpx.AsyncClient, world: World
) -> None:
    _refused(await owner.post(f"{TOTP}/confirm", json={"code": "123456"}), 409, "totp-not-offered")
    wrong = await owner.post(TOTP, json={"password": "nope"})
    _refused(wrong, 403, "wrong-current-password")
    assert await _count(world, TotpFactor) == 0
    offered = [await owner.post(TOTP, json={"password": PASSWORD}) for _ in range(2)]
    stale = secret_of(offered[0].json()["secret"])
    refused = await owner.post(f"{TOTP}/confirm", json={"code": code_of(stale)})
    _refused(refused, 403, "code-refused")
    assert (await owner.get(TOTP)).json()["is_on"] is False


async def test_it_is_set_up_once(owner: httpx.AsyncClient, world: World) -> None:
    secret, _ = await enrol(owner)
    _refused(await owner.post(TOTP, json={"password": PASSWORD}), 409, "totp-already-on")
    again = await owner.post(f"{TOTP}/confirm", json={"code": code_of(secret)})
    _refused(again, 409, "totp-already-on")
    assert (await owner.get(TOTP)).json()["recovery_codes_left"] == 10


async def test_offers_at_once_leave_one_factor(owner: httpx.AsyncClient, world: World) -> None:
    answers = await asyncio.gather(
        *(owner.post(TOTP, json={"password": PASSWORD}) for _ in range(4))
    )
    assert [a.status_code for a in answers] == [200] * 4
    assert await _count(world, TotpFactor) == 1


async def test_confirming_twice_at_once_answers_one_set_of_codes(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    secret = secret_of((await owner.post(TOTP, json={"password": PASSWORD})).json()["secret"])
    body = {"code": code_of(secret)}
    answers = await asyncio.gather(*(owner.post(f"{TOTP}/confirm", json=body) for _ in range(3)))
    assert sorted(a.status_code for a in answers) == [200, 409, 409]
    (done,) = (a for a in answers if a.status_code == 200)
    challenge = (await _first_step(shopper, world.owner))["challenge"]
    code = done.json()["recovery_codes"][0]
    assert (await _second_step(shopper, challenge, code)).status_code == 200


async def test_switching_off_needs_the_password(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    none = await owner.post(f"{TOTP}/disable", json={"password": PASSWORD})
    _refused(none, 404, "totp-not-on")
    await enrol(owner)
    wrong = await owner.post(f"{TOTP}/disable", json={"password": "nope"})
    _refused(wrong, 403, "wrong-current-password")
    assert (await owner.get(TOTP)).json()["is_on"] is True
    done = await owner.post(f"{TOTP}/disable", json={"password": PASSWORD})
    assert done.status_code == 204
    assert (await _first_step(shopper, world.owner))["step"] == "done"
    assert await _told(world, "auth.totp_disabled") == 1


async def test_passwords_asked_again_are_throttled(owner: httpx.AsyncClient) -> None:
    answers = [await owner.post(TOTP, json={"password": "nope"}) for _ in range(8)]
    _refused(answers[-1], 429, "too-many-logins")


async def test_an_administrator_resets_it_for_who_lost_it(
    owner: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    world: World,
    client_of: ClientOf,
) -> None:
    agent, admin = await world.member("agent"), await world.member("admin")
    await enrol(await client_of(world, agent))
    await enrol(owner)
    of = "/api/v1/admin/users/{}/totp"
    _refused(await outsider.delete(of.format(agent.id)), 404, "user-not-found")
    below = await client_of(world, await world.member("manager"))
    _refused(await below.delete(of.format(agent.id)), 403, "action-not-allowed")
    by_admin = await client_of(world, admin)
    _refused(await by_admin.delete(of.format(world.owner.id)), 403, "role-above-yours")
    assert await _count(world, TotpFactor) == 2
    assert (await by_admin.delete(of.format(agent.id))).status_code == 204
    _refused(await by_admin.delete(of.format(agent.id)), 404, "totp-not-on")
    assert (await _first_step(shopper, agent))["step"] == "done"


async def test_the_secret_is_sealed_to_its_row(
    owner: httpx.AsyncClient, world: World, config: Settings
) -> None:
    secret, _ = await enrol(owner)
    async with world.work() as work:
        factor = (await work.session.scalars(select(TotpFactor))).one()
        facts = (await work.session.scalars(select(AuditEntry.facts))).all()
    shown = base64.b32encode(secret).decode().rstrip("=")
    assert factor.secret.startswith("v2.")
    assert shown not in factor.secret
    assert shown not in str(facts)
    context = f"{world.tenant.id}:totp_factors:{factor.id}"
    assert world.runtime.vault.decrypt(factor.secret, context)
    assert timedelta(seconds=factor.last_step * STEP_S).days > 20_000, "a step of today's"
