"""WhatsApp numbers for tests, connected through the service that people's requests use."""

from __future__ import annotations

import secrets
from typing import Any

from app.contracts.gateways.whatsapp import RemoteTemplate
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.numbers.schemas import NumberCreate
from app.conversations.numbers.service import NumberService
from app.conversations.templates.service import TemplateService
from app.core.clock import now
from tests.factories.tenants import World

TOKEN = "EAAG-um-token-muito-secreto"
APP_SECRET = "segredo-do-aplicativo-um"
VERIFY = "segredo-de-verificacao"


def node() -> str:
    """An id of the vendor's form that nobody else has."""
    return str(secrets.randbelow(10**15) + 10**15)


def number_body(**changes: Any) -> dict[str, Any]:
    """What a request that connects a number says."""
    return {
        "name": "Atendimento",
        "waba_id": node(),
        "phone_number_id": node(),
        "display_phone": "+55 11 4002-8922",
        "access_token": TOKEN,
        "app_secret": APP_SECRET,
        "verify_token": VERIFY,
    } | changes


async def make_number(world: World, **changes: Any) -> WhatsAppNumber:
    """A connected number of this tenant."""
    async with world.work() as work:
        body = NumberCreate.model_validate(number_body(**changes))
        return await NumberService(work).create(body)


async def make_account(world: World, mark: str) -> tuple[str, str]:
    """A number and an approved template whose names and secrets hold ``mark``; their ids."""
    told = {name: f"segredo-{mark}" for name in ("access_token", "app_secret", "verify_token")}
    number = await make_number(world, name=mark, **told)
    remote = RemoteTemplate(
        "1", f"modelo_{mark}", "pt_BR", "utility", "approved", "positional", "green", None,
        ({"type": "BODY", "text": f"Oi de {mark}"},),
    )  # fmt: skip
    async with world.work() as work:
        templates = TemplateService(work)
        await templates.keep(number.waba_id, [remote], now())
        [kept] = await templates.sendable(number.waba_id)
        return str(number.id), str(kept.id)
