"""What a call costs, by the published prices that genai-prices ships; nothing is fetched."""

from __future__ import annotations

import asyncio
import logging
from decimal import ROUND_CEILING
from typing import TYPE_CHECKING

from app.contracts.gateways.llm import TokenUsage
from app.core.lazy import lazy

if TYPE_CHECKING:
    import genai_prices
else:
    genai_prices = lazy("genai_prices")

log = logging.getLogger(__name__)

_VENDORS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}


async def cost_of(provider: str, base_url: str, model: str, usage: TokenUsage) -> int | None:
    """Micro-USD, rounded up; None when nobody publishes a price of this model.

    In a thread: the first call loads all prices, half a second and 70 MB.
    """
    return await asyncio.to_thread(_cost, provider, base_url, model, usage)


def _cost(provider: str, base_url: str, model: str, usage: TokenUsage) -> int | None:
    counted = genai_prices.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=min(usage.cache_read, usage.input),
        cache_write_tokens=min(usage.cache_write, usage.input - usage.cache_read)
        if usage.cache_write and usage.cache_read < usage.input
        else 0,
    )
    try:
        if provider in _VENDORS:
            found = genai_prices.calc_price(counted, model, provider_id=_VENDORS[provider])
        else:
            found = genai_prices.calc_price(counted, model, provider_api_url=base_url)
    except (LookupError, ValueError) as error:
        log.info("ai.no_price", extra={"provider": provider, "model": model, "why": str(error)})
        return None
    return int((found.total_price * 1_000_000).to_integral_value(ROUND_CEILING))
