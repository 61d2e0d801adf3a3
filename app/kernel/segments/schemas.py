"""Wire models of segments, score rules, bulk changes and figures over contacts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

from app.core.schema import Input, Output
from app.kernel.contacts.expressions import Expression, Stage, bounded
from app.kernel.contacts.schemas import ContactCard

Asked = Annotated[Expression, AfterValidator(bounded)]
EXPRESSION: TypeAdapter[Expression] = TypeAdapter(Expression)
_VIP: dict[str, JsonValue] = {
    "all": [
        {"field": "stage", "op": "in", "value": ["customer", "evangelist"]},
        {"field": "last_order_at", "op": "within_days", "days": 90},
    ]
}
Name = Annotated[str, Field(min_length=1, max_length=80)]


class SegmentCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Clientes ativos", "expression": _VIP}]}
    )

    name: Name
    expression: Asked


class SegmentUpdate(Input):
    """Only the fields sent change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Clientes dos 90 dias"}]})

    name: Name | None = None
    expression: Asked | None = None


class SegmentPreview(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"expression": _VIP}]})

    expression: Asked


class SegmentRead(Output):
    id: UUID
    name: str
    expression: dict[str, JsonValue]
    created_at: datetime


class PreviewRead(Output):
    contacts: int = Field(description="How many it selects now.")
    sample: list[ContactCard] = Field(description="The newest ten.")


class ScoreRuleCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Pediu nos últimos 30 dias",
                    "expression": {"field": "last_order_at", "op": "within_days", "days": 30},
                    "points": 20,
                }
            ]
        }
    )

    name: Name
    expression: Asked
    points: int = Field(ge=-1000, le=1000)
    is_active: bool = True


class ScoreRuleUpdate(Input):
    """Only the fields sent change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"points": 15}]})

    name: Name | None = None
    expression: Asked | None = None
    points: int = Field(0, ge=-1000, le=1000)
    is_active: bool = True


class ScoreRuleRead(Output):
    id: UUID
    name: str
    expression: dict[str, JsonValue]
    points: int
    is_active: bool
    created_at: datetime


class RescoreRead(Output):
    changed: int = Field(description="How many contacts have another score now.")


class BulkChange(Input):
    """Contacts by id, or those a segment selects; at most 10,000 at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "segment_id": "01932c07-a0a3-7a10-8c39-0f6f2f9b6f11",
                    "add_tag_ids": ["01932c07-a0a3-7a10-8c39-0f6f2f9b6f12"],
                    "stage": "customer",
                }
            ]
        }
    )

    contact_ids: list[UUID] = Field(default_factory=list, max_length=1000)
    segment_id: UUID | None = None
    add_tag_ids: list[UUID] = Field(default_factory=list, max_length=20)
    remove_tag_ids: list[UUID] = Field(default_factory=list, max_length=20)
    stage: Stage | None = None

    @model_validator(mode="after")
    def _says_whom_and_what(self) -> BulkChange:
        if bool(self.contact_ids) == (self.segment_id is not None):
            raise ValueError("give either contact_ids or segment_id")
        if not (self.add_tag_ids or self.remove_tag_ids or self.stage):
            raise ValueError("give tags or a stage")
        return self


class BulkRead(Output):
    contacts: int = Field(description="How many were meant.")
    tagged: int
    untagged: int
    staged: int


class ConsentFigures(Output):
    channel: str
    opted_in: int
    opted_out: int


class StatisticsRead(Output):
    """Figures over all contacts, now."""

    contacts: int
    blocked: int
    new_30_days: int
    seen_7_days: int
    seen_30_days: int
    seen_90_days: int
    never_seen: int
    average_score: int
    stages: dict[Stage, int]
    consents: list[ConsentFigures] = Field(description="Newest decision about marketing.")
