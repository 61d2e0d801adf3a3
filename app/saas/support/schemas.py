"""Wire models of what the platform does inside a tenant."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.schema import Input, Output
from app.kernel.impersonations.schemas import ImpersonationRead

LONGEST_MINUTES = 30


class ImpersonationStart(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "01936c1e-8b6a-7c3e-9d55-0a1b2c3d4e5f",
                    "reason": "Chamado 4127: pedido não aparece no painel",
                    "minutes": 15,
                }
            ]
        }
    )

    user_id: UUID
    reason: Annotated[str, StringConstraints(min_length=8, max_length=500)] = Field(
        description="The tenant reads it."
    )
    minutes: int = Field(LONGEST_MINUTES, ge=1, le=LONGEST_MINUTES)


class ImpersonationStarted(Output):
    access_token: str = Field(description="Shown once; it cannot be refreshed.")
    token_type: str = "bearer"  # noqa: S105 - the scheme's name, RFC 6750
    expires_in: int = Field(description="Seconds.")
    impersonation: ImpersonationRead
