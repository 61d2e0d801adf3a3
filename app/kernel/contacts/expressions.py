"""What a segment asks of contacts: a small closed language of conditions, read from JSON.

It is data, not SQL: fields, operators and depth are fixed here, so that a saved expression can be
validated once and means the same wherever it is read (``conditions`` makes SQL of it).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Union
from uuid import UUID

from pydantic import Discriminator, Field, Tag, model_validator

from app.core.schema import Input, Instant
from app.kernel.contacts.models import STAGES

DEEPEST = 5
MOST = 50

Stage = Literal["subscriber", "lead", "qualified", "customer", "evangelist", "churned"]
assert set(STAGES) == set(Stage.__args__)  # type: ignore[attr-defined]  # noqa: S101
Word = Annotated[str, Field(min_length=1, max_length=120)]
Ids = Annotated[list[UUID], Field(min_length=1, max_length=50)]
Moment = Literal["created_at", "seen_at", "last_order_at"]


class StageIs(Input):
    field: Literal["stage"]
    op: Literal["in", "not_in"] = "in"
    value: list[Stage] = Field(min_length=1, max_length=6)


class Tagged(Input):
    """``any`` of the tags, ``all`` of them, or ``none``."""

    field: Literal["tags"]
    op: Literal["any", "all", "none"] = "any"
    value: Ids


class TextIs(Input):
    """Text facts; ``contains`` and ``is`` mind neither accents nor case."""

    field: Literal["name", "email", "phone", "company", "source", "language"]
    op: Literal["contains", "is", "known", "unknown"]
    value: str = Field("", max_length=120)

    @model_validator(mode="after")
    def _has_value(self) -> TextIs:
        if self.op in ("contains", "is") and not self.value.strip():
            raise ValueError(f"{self.op} needs a value")
        return self


class ScoreIs(Input):
    field: Literal["score"]
    op: Literal["at_least", "at_most"]
    value: int = Field(ge=-1_000_000, le=1_000_000)


class When(Input):
    """``within_days`` counts back from now; ``before`` and ``after`` take an instant."""

    field: Moment
    op: Literal["within_days", "not_within_days", "before", "after", "never"]
    days: int = Field(0, ge=0, le=3650)
    at: Instant | None = None

    @model_validator(mode="after")
    def _has_value(self) -> When:
        if self.op in ("before", "after") and self.at is None:
            raise ValueError(f"{self.op} needs at")
        return self


class BlockedIs(Input):
    field: Literal["is_blocked"]
    value: bool


class OwnerIs(Input):
    """``value`` null: nobody looks after them."""

    field: Literal["owner_id"]
    value: UUID | None


class AttributeIs(Input):
    """A fact the tenant defined; numbers and dates can be compared."""

    field: Literal["attribute"]
    key: str = Field(pattern="^[a-z][a-z0-9_]{0,39}$")
    op: Literal["is", "at_least", "at_most", "known", "unknown"]
    value: str | bool | Annotated[float, Field(ge=-1e15, le=1e15)] | None = None

    @model_validator(mode="after")
    def _has_value(self) -> AttributeIs:
        if self.op in ("is", "at_least", "at_most") and self.value is None:
            raise ValueError(f"{self.op} needs a value")
        if self.op in ("at_least", "at_most") and isinstance(self.value, bool):
            raise ValueError("true and false have no order")
        return self


class ConsentIs(Input):
    """The newest decision for this channel and category, one for ``all`` included."""

    field: Literal["consent"]
    channel: Literal["whatsapp", "email", "sms", "phone", "telegram"]
    category: Literal["marketing", "utility", "authentication", "service"] = "marketing"
    value: Literal["opted_in", "opted_out", "undecided"]


class All(Input):
    all: list[Expression] = Field(min_length=1, max_length=20)


class AnyOf(Input):
    any: list[Expression] = Field(min_length=1, max_length=20)


class NoneOf(Input):
    none: list[Expression] = Field(min_length=1, max_length=20)


_LEAVES = {
    "stage": "stage", "tags": "tags", "score": "score", "is_blocked": "is_blocked",
    "owner_id": "owner_id", "attribute": "attribute", "consent": "consent",
    **dict.fromkeys(("name", "email", "phone", "company", "source", "language"), "text"),
    **dict.fromkeys(("created_at", "seen_at", "last_order_at"), "when"),
}  # fmt: skip


def _kind(value: object) -> str | None:
    """Which condition this is: by its ``field``, else by its one key."""
    if isinstance(value, dict):
        field = value.get("field")
        if isinstance(field, str):
            return _LEAVES.get(field)
        return next((key for key in ("all", "any", "none") if key in value), None)
    groups: dict[object, str] = {All: "all", AnyOf: "any", NoneOf: "none"}
    return groups.get(type(value)) or _LEAVES.get(getattr(value, "field", ""))


Expression = Annotated[
    Union[  # noqa: UP007 - forward references inside need the typing form
        Annotated[StageIs, Tag("stage")],
        Annotated[Tagged, Tag("tags")],
        Annotated[TextIs, Tag("text")],
        Annotated[ScoreIs, Tag("score")],
        Annotated[When, Tag("when")],
        Annotated[BlockedIs, Tag("is_blocked")],
        Annotated[OwnerIs, Tag("owner_id")],
        Annotated[AttributeIs, Tag("attribute")],
        Annotated[ConsentIs, Tag("consent")],
        Annotated[All, Tag("all")],
        Annotated[AnyOf, Tag("any")],
        Annotated[NoneOf, Tag("none")],
    ],
    Discriminator(_kind),
]
Leaf = StageIs | Tagged | TextIs | ScoreIs | When | BlockedIs | OwnerIs | AttributeIs | ConsentIs
for _group in (All, AnyOf, NoneOf):
    _group.model_rebuild()


def walked(expression: Expression, depth: int = 1) -> Iterator[tuple[int, Leaf]]:
    """Every condition in it, with how deep it stands."""
    match expression:
        case All(all=parts) | AnyOf(any=parts) | NoneOf(none=parts):
            for part in parts:
                yield from walked(part, depth + 1)
        case leaf:
            yield depth, leaf


def bounded(expression: Expression) -> Expression:
    """The expression itself. ValueError when it is too deep or too long to be asked at once."""
    found = list(walked(expression))
    if len(found) > MOST or max(depth for depth, _ in found) > DEEPEST:
        raise ValueError(f"at most {MOST} conditions, nested at most {DEEPEST} deep")
    return expression
