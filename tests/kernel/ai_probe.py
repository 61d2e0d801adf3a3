"""Asking the sandbox's models as one tenant, and what the ledger says of it.

``python -m tests.kernel.ai_probe TENANT_ID SANDBOX_URL`` asks once and waits, for tests that kill
whoever asks.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from app.contracts.gateways.llm import ChatMessage
from app.core.settings import settings
from app.kernel.ai.ledger import LedgerService
from app.kernel.ai.schemas import AiUsageRead
from app.kernel.ai.service import AiService, Ask
from app.kernel.tenancy import TenantContext
from app.kernel.work import Runtime, WorkFactory, unit_of_work
from app.worker import build_runtime, close_runtime
from tests.factories.tenants import SYSTEM

PROMPT = "a" * 3984
"""1000 tokens to the sandbox: one for four characters, four for the message."""
SAID = "b" * 400
"""100 tokens."""
SONNET = "clau" + "de-sonnet-4-5"
"""A model of Anthropic's that has a price; the name is no word of this repository's."""
PRICE, MOST = 210, 1200
"""Micro-USD of that at gpt-4o-mini (0.15 and 0.60 dollars a million), and the most it may cost
with 1000 tokens allowed: 4000 bytes asked, 1000 tokens said."""

Asking = Callable[..., AiService]


def works_of(runtime: Runtime, tenant: TenantContext, url: str, **changes: Any) -> WorkFactory:
    """Works whose platform keys lead to the sandbox."""
    update = {
        "openai_api_key": SecretStr("sk-da-plataforma"),
        "openai_base_url": f"{url}/openai/v1",
        "anthropic_base_url": f"{url}/anthropic",
        "gemini_base_url": f"{url}/gemini",
        "ai_calls_per_minute": 1000,
        **changes,
    }
    config = runtime.settings.model_copy(update=update)
    there = replace(runtime, settings=config, caches={})
    return lambda: unit_of_work(there, tenant, SYSTEM)


def ask(text: str = PROMPT, *, cached: bool = False, **changes: Any) -> Ask:
    facts: dict[str, Any] = {
        "feature": "minutes",
        "messages": (ChatMessage("user", text),),
        "max_tokens": 1000,
        "cache_for": timedelta(hours=1) if cached else None,
    }
    return Ask(**facts | changes)


async def used(works: WorkFactory) -> AiUsageRead:
    async with works() as work:
        return await LedgerService(work).usage(None)


async def budget(works: WorkFactory, amount: int | None) -> None:
    async with works() as work:
        await LedgerService(work).set_budget(amount)


async def main(tenant_id: str, url: str) -> None:
    runtime = build_runtime(settings())
    tenant = await runtime.tenants.by_id(UUID(tenant_id))
    await AiService(works_of(runtime, tenant, url)).complete(ask())
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
