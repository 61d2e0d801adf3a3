"""Wire models of departments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output

Name = Annotated[str, Field(min_length=1, max_length=80)]
Description = Annotated[str, Field(max_length=300)]


class DepartmentCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Entregas", "description": "Motoboys e rastreio de pedidos"}]
        }
    )

    name: Name
    description: Description | None = None


class DepartmentUpdate(Input):
    """Only what is sent changes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Entregas e retirada"}]})

    name: Name | None = None
    description: Description | None = None


class DepartmentMembers(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_ids": ["019a7f5e-8c00-7a3b-9f10-2b7d4c1e9a55"]}]}
    )

    user_ids: list[UUID] = Field(max_length=1000)


class DepartmentRead(Output):
    id: UUID
    name: str
    description: str | None
    user_ids: list[UUID]
    created_at: datetime
