"""Wire models of usage."""

from __future__ import annotations

from pydantic import Field

from app.core.schema import Output


class UsageItem(Output):
    limit: str = Field(description="What is limited, e.g. `documents`.")
    period: str = Field(description="`YYYY-MM` in the tenant's timezone, or `total`.")
    allowed: int | None = Field(description="Null: without limit.")
    used: int


class UsageRead(Output):
    plan: str | None = Field(description="Code of the tenant's plan; null: none was assigned.")
    items: list[UsageItem]
