"""Wire models of outbound webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.schema import Input, Output

Url = Annotated[str, StringConstraints(min_length=10, max_length=2048)]
EventType = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_]+\.[a-z_]+)$", max_length=100)]
EventTypes = Annotated[
    list[EventType], Field(min_length=1, max_length=50, description="Event names; * hears all.")
]
Description = Annotated[str, StringConstraints(max_length=200)]
DeliveryState = Literal["pending", "succeeded", "failed"]


class EndpointCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://erp.bellamassa.example/ganchos/pedidos",
                    "events": ["commerce.order_placed", "commerce.order_status_changed"],
                    "description": "Pedidos para o ERP",
                }
            ]
        }
    )

    url: Url
    events: EventTypes = Field(default_factory=lambda: ["*"])
    description: Description = ""


class EndpointUpdate(Input):
    """Only what is sent changes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"is_enabled": True}]})

    url: Url | None = None
    events: EventTypes | None = None
    description: Description | None = None
    is_enabled: bool | None = None


class EndpointRead(Output):
    id: UUID
    url: str
    events: list[str]
    description: str
    is_enabled: bool
    disabled_reason: str | None = Field(
        description="manual; gone: it answered 410; failing: nothing arrived for days."
    )
    failing_since: datetime | None
    created_at: datetime


class EndpointSecret(EndpointRead):
    secret: str = Field(description="Standard Webhooks secret; shown here and never again.")


class DeliveryRead(Output):
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    type: str
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    last_response: str | None
    duration_ms: int | None
    attempted_at: datetime | None
    payload: str
    created_at: datetime
