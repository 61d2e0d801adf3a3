"""Somebody's authenticator app."""

from __future__ import annotations

import base64
import time

import httpx

from app.kernel.totp.rules import STEP_S, code_at
from tests.factories.tenants import PASSWORD

TOTP = "/api/v1/auth/totp"


async def enrol(client: httpx.AsyncClient) -> tuple[bytes, list[str]]:
    """Switch it on with the code before the present one, so that this one is still unused."""
    offer = await client.post(TOTP, json={"password": PASSWORD})
    assert offer.status_code == 200, offer.text
    secret = secret_of(offer.json()["secret"])
    done = await client.post(f"{TOTP}/confirm", json={"code": code_of(secret, -1)})
    assert done.status_code == 200, done.text
    codes: list[str] = done.json()["recovery_codes"]
    return secret, codes


def secret_of(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


def code_of(secret: bytes, steps: int = 0) -> str:
    """The code that the app shows, so many steps from now."""
    return code_at(secret, time.time() + steps * STEP_S)
