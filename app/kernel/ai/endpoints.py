"""HTTP for AI: what it was used for and what it may cost."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.kernel.access import require_module
from app.kernel.ai.ledger import LedgerService
from app.kernel.ai.schemas import AiUsageRead, BudgetPut, BudgetRead
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/ai", tags=["ai"])
Ledger = Annotated[LedgerService, service(LedgerService)]
Month = Annotated[
    str | None,
    Query(pattern=r"^2\d{3}-(0[1-9]|1[0-2])$", description="`YYYY-MM`; this month when left out."),
]
_READ = require_module("platform", "ai:read")


@router.get("/usage", dependencies=[_READ])
async def show_ai_usage(ledger: Ledger, month: Month = None) -> AiUsageRead:
    """A month's calls, tokens and cost, by feature, provider and model."""
    return await ledger.usage(month)


@router.get("/budget", dependencies=[_READ])
async def show_ai_budget(ledger: Ledger) -> BudgetRead:
    """What this month may cost, has cost, and may still cost by calls under way."""
    return await ledger.budget()


@router.put("/budget", dependencies=[require_module("platform", "ai:write")])
async def put_ai_budget(body: BudgetPut, ledger: Ledger) -> BudgetRead:
    """Limit what a month may cost; calls beyond it are refused before they are made."""
    return await ledger.set_budget(body.monthly_micro_usd)
