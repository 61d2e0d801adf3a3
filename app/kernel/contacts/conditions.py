"""Makes SQL of a segment's expression; every value goes as a bound parameter."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    SQLColumnExpression,
    Text,
    all_,
    and_,
    cast,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONPATH
from sqlalchemy.orm import aliased

from app.core.fold import fold, holds
from app.core.phone import InvalidPhone, normalise_phone, phone_match_keys
from app.kernel.consents.models import ConsentEntry
from app.kernel.contacts import expressions as e
from app.kernel.contacts.models import Contact, seen_at, stage_now
from app.kernel.contacts.schemas import ContactFilter
from app.kernel.tags.models import ContactTag

Condition = ColumnElement[bool]
_WILDCARD = re.compile(r"[%_\\]")
_NUMBER = re.compile(r"[\d\s()+.\-/]*")


def condition(expression: e.Expression, now: datetime) -> Condition:
    """The expression over ``Contact``; ``now`` is what days are counted back from."""
    match expression:
        case e.All(all=parts):
            return and_(*(condition(part, now) for part in parts))
        case e.AnyOf(any=parts):
            return or_(*(condition(part, now) for part in parts))
        case e.NoneOf(none=parts):
            return not_(or_(*(condition(part, now) for part in parts)))
        case e.When():
            return _when(expression, now)
        case leaf:
            found: Condition = _LEAVES[type(leaf)](leaf)
            return found


def tagged(op: str, tag_ids: Sequence[UUID]) -> Condition:
    """Contacts with ``any`` of these tags, ``all`` of them, or ``none``."""
    if op == "all":
        return and_(*(tagged("any", [tag_id]) for tag_id in tag_ids))
    held = exists().where(ContactTag.contact_id == Contact.id, ContactTag.tag_id.in_(tag_ids))
    return held if op == "any" else not_(held)


def attribute_is(key: str, value: str | bool | float) -> Condition:
    """Contacts whose fact ``key`` is this; text without accents and case."""
    stored = Contact.attributes[key].astext
    if isinstance(value, bool):
        return func.coalesce(stored == ("true" if value else "false"), false())
    if isinstance(value, str):
        return func.coalesce(_folded(stored) == fold(value.strip()), false())
    number = func.jsonb_typeof(Contact.attributes[key]) == "number"
    return and_(func.coalesce(number, false()), _number(key) == value)


def _text(leaf: e.TextIs) -> Condition:
    column = getattr(Contact, leaf.field)
    known = func.coalesce(column, "") != ""
    if leaf.op == "known":
        return known
    if leaf.op == "unknown":
        return not_(known)
    if leaf.op == "is":
        return and_(known, _folded(column) == fold(leaf.value.strip()))
    return and_(known, holds(column, leaf.value))


def _score(leaf: e.ScoreIs) -> Condition:
    at_least = leaf.op == "at_least"
    return Contact.score >= leaf.value if at_least else Contact.score <= leaf.value


def _when(leaf: e.When, now: datetime) -> Condition:
    columns: dict[str, Any] = {
        "created_at": Contact.created_at,
        "seen_at": seen_at(),
        "last_order_at": Contact.last_order_at,
    }
    column = columns[leaf.field]
    if leaf.op == "never":
        return column.is_(None)  # type: ignore[no-any-return]
    since = leaf.at if leaf.at is not None else now - timedelta(days=leaf.days)
    newer = func.coalesce(column >= since, false())
    if leaf.op in ("within_days", "after"):
        return newer
    if leaf.op == "not_within_days":
        return not_(newer)
    return func.coalesce(column < since, false())


def _attribute(leaf: e.AttributeIs) -> Condition:
    stored = Contact.attributes[leaf.key].astext
    if leaf.op in ("known", "unknown"):
        known: Condition = stored.is_not(None)
        return known if leaf.op == "known" else not_(known)
    assert leaf.value is not None  # noqa: S101 - the expression asks for it
    if leaf.op == "is":
        return attribute_is(leaf.key, leaf.value)
    if isinstance(leaf.value, str):
        kind = func.coalesce(func.jsonb_typeof(Contact.attributes[leaf.key]) == "string", false())
        # Dates are kept as ISO text: by bytes, their order is the calendar's.
        text = stored.collate("C")
        return and_(kind, text >= leaf.value if leaf.op == "at_least" else text <= leaf.value)
    number = _number(leaf.key)
    limit: Condition = number >= leaf.value if leaf.op == "at_least" else number <= leaf.value
    return func.coalesce(limit, false())


def _number(key: str) -> ColumnElement[float]:
    """The fact as a number, NULL when it is none; compared as JSON, which never fails a cast."""
    found = func.jsonb_path_query_first(
        Contact.attributes, cast(f'$."{key}" ? (@.type() == "number")', JSONPATH)
    )
    return cast(cast(found, Text), Double)


def _consent(leaf: e.ConsentIs) -> Condition:
    double = aliased(Contact)
    people = select(double.id).where(
        or_(double.id == Contact.id, double.merged_into_id == Contact.id)
    )
    newest = (
        select(ConsentEntry.is_opt_in)
        .where(
            ConsentEntry.contact_id.in_(people.correlate(Contact)),
            ConsentEntry.channel == leaf.channel,
            ConsentEntry.category.in_((leaf.category, "all")),
        )
        .order_by(ConsentEntry.decided_at.desc(), ConsentEntry.id.desc())
        .limit(1)
        .correlate(Contact)
        .scalar_subquery()
    )
    if leaf.value == "undecided":
        return newest.is_(None)
    return func.coalesce(newest == (leaf.value == "opted_in"), false())


def _folded(column: Any) -> ColumnElement[str]:
    plain = func.regexp_replace(
        func.normalize(column, literal_column("NFKD")), "[\u0300-\u036f]", "", "g"
    )
    return func.lower(func.btrim(plain))


_LEAVES: dict[type, Callable[[Any], Condition]] = {
    e.StageIs: lambda leaf: (
        stage_now().in_(leaf.value) if leaf.op == "in" else stage_now().not_in(leaf.value)
    ),
    e.Tagged: lambda leaf: tagged(leaf.op, leaf.value),
    e.TextIs: _text,
    e.ScoreIs: _score,
    e.BlockedIs: lambda leaf: Contact.is_blocked.is_(leaf.value),
    e.OwnerIs: lambda leaf: (
        Contact.owner_id.is_(None)
        if leaf.value is None
        else Contact.owner_id.is_not_distinct_from(leaf.value)
    ),
    e.AttributeIs: _attribute,
    e.ConsentIs: _consent,
}


def filtered(wanted: ContactFilter) -> list[Condition]:
    """What a list's parameters ask, its search aside."""
    asked = [("all", wanted.tags_all), ("any", wanted.tags_any), ("none", wanted.tags_none)]
    found = [tagged(op, tag_ids) for op, tag_ids in asked if tag_ids]
    if wanted.stage is not None and wanted.stage not in ("lead", "customer"):
        # Nobody is one of these unasked: said twice, for the index of what somebody set.
        found.append(Contact.stage == wanted.stage)
    columns: tuple[tuple[Any, Any, Callable[[Any, Any], Condition]], ...] = (
        (stage_now(), wanted.stage, operator.eq),
        (Contact.owner_id, wanted.owner_id, operator.eq),
        (seen_at(), wanted.seen_after, operator.ge),
        (seen_at(), wanted.seen_before, operator.lt),
    )
    found += [compare(column, value) for column, value, compare in columns if value is not None]
    if wanted.is_blocked is not None:
        found.append(blocked(wanted.is_blocked))
    if wanted.attribute is not None:
        key, _, value = wanted.attribute.partition(":")
        found.append(_folded(Contact.attributes[key].astext) == fold(value.strip()))
    return found


def blocked(wanted: bool) -> Condition:
    """Without a parameter, as a partial index needs it."""
    is_blocked: Condition = Contact.is_blocked.expression
    return is_blocked if wanted else not_(is_blocked)


def people(query: str, at_most: int = 500) -> Select[Any]:
    """Ids of people by number or parts of the name, for conditions of other slices."""
    whole = whole_number(query)
    if whole:
        root = func.coalesce(Contact.merged_into_id, Contact.id)
        return select(root).where(Contact.phone.in_(whole))
    found = func.find_contacts(cast(like_patterns(query), ARRAY(Text())), None, at_most)
    return select(found.column_valued())


def named(contact_id: SQLColumnExpression[UUID], query: str) -> Condition:
    """What holds of rows whose contact the query finds, looked up row by row: for lists that
    meet many such rows soon. A join would let the planner read all contacts first."""
    who = aliased(Contact)
    text = select(who.search_text).where(who.id == contact_id).scalar_subquery()
    return text.like(all_(cast(like_patterns(query), ARRAY(Text()))))


def like_patterns(query: str) -> list[str]:
    """One LIKE pattern per word (at most eight) of what ``search_text`` holds; a part of a
    number is looked for by its digits."""
    if _NUMBER.fullmatch(query) and (digits := re.sub(r"\D", "", query)):
        return [f"%{digits}%"]
    words = fold(query).split()[:8]
    return ["%" + _WILDCARD.sub(r"\\\g<0>", word) + "%" for word in words]


def whole_number(query: str) -> Sequence[str]:
    """Every stored form of a complete number: a lookup in the index instead of a scan."""
    try:
        return phone_match_keys(normalise_phone(query))
    except InvalidPhone:
        return ()
