"""Wire models of the consent ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Instant, Output

Channel = Literal["whatsapp", "email", "sms", "phone", "telegram"]
Category = Literal["marketing", "utility", "authentication", "service"]


class ConsentCreate(Input):
    """A decision of the contact that the team was told of."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "whatsapp",
                    "category": "marketing",
                    "is_opt_in": True,
                    "source": "form",
                    "evidence": "Ficha de cadastro assinada em 22/11/2026",
                }
            ]
        }
    )

    channel: Channel
    category: Category | Literal["all"]
    is_opt_in: bool
    source: Literal["form", "staff", "api", "import"] = "staff"
    evidence: str | None = Field(None, max_length=500)
    decided_at: Instant | None = Field(None, description="When they said so; else now.")


class ConsentRead(Output):
    id: UUID
    channel: str
    category: str
    is_opt_in: bool
    source: str
    evidence: str | None
    decided_at: datetime
    actor_name: str


class PermissionRead(Output):
    is_allowed: bool
    reason: Literal[
        "opted-in", "not-opted-out", "asked-for", "blocked", "opted-out", "not-opted-in"
    ]
