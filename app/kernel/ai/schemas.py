"""Wire models of AI use and its budget. Amounts are micro-USD: a millionth of a dollar."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output


class BudgetPut(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"monthly_micro_usd": 20_000_000}]})

    monthly_micro_usd: int | None = Field(
        ge=0, le=10**12, description="Most that a month may cost; null: no limit of your own."
    )


class BudgetRead(Output):
    month: str = Field(description="`YYYY-MM` in the tenant's timezone.")
    monthly_micro_usd: int | None = Field(description="The tenant's own limit; null: none.")
    platform_monthly_micro_usd: int = Field(
        description="Most that the platform's keys pay a month, for who has no key of its own."
    )
    spent_micro_usd: int
    reserved_micro_usd: int = Field(description="What calls under way may cost, at most.")
    platform_micro_usd: int = Field(description="Of both, what the platform's keys pay.")


class UsageLine(Output):
    feature: str
    provider: str
    model: str
    calls: int = Field(description="Attempts that reached for the provider.")
    failed_calls: int = Field(description="Of those, without an answer.")
    cached_calls: int = Field(description="Answers that were kept from before: they cost nothing.")
    unpriced_calls: int = Field(description="Calls of unknown cost: no price is published.")
    estimated_calls: int = Field(description="Calls whose tokens the provider did not tell.")
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_micro_usd: int


class AiUsageRead(BudgetRead):
    items: list[UsageLine]
