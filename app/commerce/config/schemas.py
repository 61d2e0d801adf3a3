"""Wire models of what a merchant switches during the day."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from pydantic import ConfigDict, Field

from app.commerce.stores.rules import Channel
from app.commerce.stores.schemas import AvailabilityRead
from app.core.schema import Input, Output


class PauseIn(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"minutes": 30, "reason": "Forno em manutenção"}]}
    )

    minutes: int = Field(ge=1, le=7 * 24 * 60, description="Orders return by themselves after.")
    reason: str = Field(min_length=2, max_length=200)


class BusyIn(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"busy_minutes": 20}]})

    busy_minutes: int = Field(ge=0, le=240, description="On top of the preparation; 0: as usual.")


class OperationRead(Output):
    """What a merchant switches during the day."""

    store_id: UUID
    name: str
    is_active: bool
    paused_until: dt.datetime | None
    pause_reason: str | None
    preparation_minutes: int
    busy_minutes: int
    availability: dict[Channel, AvailabilityRead]
