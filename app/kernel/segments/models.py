"""Saved questions about contacts: segments that select them, rules that score them."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Json, TenantModel, unique_within_tenant


class Segment(TenantModel):
    __tablename__ = "segments"
    __table_args__ = (unique_within_tenant("name"),)

    name: Mapped[str]
    expression: Mapped[Json]


class ScoreRule(TenantModel):
    __tablename__ = "score_rules"
    __table_args__ = (unique_within_tenant("name"),)

    name: Mapped[str]
    expression: Mapped[Json]
    points: Mapped[int]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
