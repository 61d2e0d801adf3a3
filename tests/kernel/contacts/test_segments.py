"""Segments: the SQL of any expression selects what an independent reading in Python does."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.core.clock import now
from app.core.ids import new_id
from app.kernel.consents.models import ConsentEntry
from app.kernel.contacts.conditions import condition
from app.kernel.contacts.models import STAGES, Contact
from app.kernel.contacts.repository import ContactRepository
from app.kernel.segments.schemas import EXPRESSION
from app.kernel.segments.service import ScoreService
from app.kernel.tags.models import ContactTag, Tag
from app.main import Largo
from tests.factories.tenants import World, make_world

BASE = "/api/v1/segments"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ("Maria Conceição", "João", "Ana  Lú", "", "100% Bia", "MARIA", "josé_a")
FACTS: tuple[dict[str, Any], ...] = (
    {}, {"filhos": 2}, {"filhos": 2.5, "vip": True}, {"vip": False, "desde": "2024-05-01"},
    {"desde": "2025-12-31", "cidade": "São Paulo"}, {"filhos": "2"}, {"cidade": "SAO PAULO"},
)  # fmt: skip


class Crowd:
    """Forty contacts with what a segment may ask, and the same read independently."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tags: list[UUID] = []
        self.rows: list[dict[str, Any]] = []

    async def fill(self) -> Crowd:
        random = Random(7)
        async with self.world.work() as work:
            tags = [Tag(name=n, folded=n, color="#000000") for n in ("a", "b", "c")]
            work.session.add_all(tags)
            await work.session.flush()
            self.tags = [tag.id for tag in tags]
            roots = [self._contact(random, number) for number in range(40)]
            work.session.add_all(roots)
            await work.session.flush()
            doubles = [Contact(name="x", merged_into_id=root.id) for root in roots[:10]]
            work.session.add_all(doubles)
            await work.session.flush()
            for root in roots:
                mine = [t for t in self.tags if random.random() < 0.4]
                work.session.add_all(ContactTag(contact_id=root.id, tag_id=t) for t in mine)
                ids = [root.id, *(d.id for d in doubles if d.merged_into_id == root.id)]
                entries = [self._consent(random, ids) for _ in range(random.randrange(3))]
                work.session.add_all(entries)
                await work.session.flush()
                self.rows.append(self._read(root, mine, entries))
        return self

    def _contact(self, random: Random, number: int) -> Contact:
        def past() -> datetime | None:
            return NOON - timedelta(days=random.randrange(60)) if random.random() < 0.6 else None

        return Contact(
            name=random.choice(NAMES), email=random.choice([None, "Z@y.com", ""]),
            phone=f"+55119{80000000 + number}" if random.random() < 0.7 else None,
            company=random.choice([None, "Padaria", "padária "]),
            source=random.choice(["admin", "import"]), is_blocked=random.random() < 0.3,
            last_order_at=past(), last_seen_at=past(), stage_at=past(),
            stage=random.choice([None, *STAGES]), score=random.randrange(-5, 30),
            attributes=random.choice(FACTS), created_at=NOON - timedelta(days=random.randrange(60)),
            owner_id=self.world.owner.id if random.random() < 0.3 else None,
        )  # fmt: skip

    def _consent(self, random: Random, ids: list[UUID]) -> ConsentEntry:
        return ConsentEntry(
            contact_id=random.choice(ids), channel=random.choice(["whatsapp", "email"]),
            category=random.choice(["marketing", "all"]), is_opt_in=random.random() < 0.5,
            source="staff", decided_at=NOON - timedelta(hours=random.randrange(3)), actor_name="t",
        )  # fmt: skip

    def _read(self, c: Contact, tags: list[UUID], said: list[ConsentEntry]) -> dict[str, Any]:
        fields = ("id", "name", "email", "phone", "company", "source", "language", "is_blocked",
                  "last_order_at", "last_seen_at", "stage", "stage_at", "score", "attributes",
                  "created_at", "owner_id")  # fmt: skip
        return {n: getattr(c, n) for n in fields} | {"tags": set(tags), "said": said}


def plain(text: str) -> str:
    split = unicodedata.normalize("NFKD", text)
    return "".join(c for c in split if not unicodedata.combining(c)).lower().strip()


def holds(x: dict[str, Any], row: dict[str, Any]) -> bool:
    """What an expression means, read without the product's help."""
    if "all" in x:
        return all(holds(part, row) for part in x["all"])
    if "any" in x and "field" not in x:
        return any(holds(part, row) for part in x["any"])
    if "none" in x:
        return not any(holds(part, row) for part in x["none"])
    return bool(READ[x["field"]](x, row))


def stage(row: dict[str, Any]) -> str:
    order, at = row["last_order_at"], row["stage_at"]
    if order and (at is None or order > at) and row["stage"] != "evangelist":
        return "customer"
    return row["stage"] or "lead"


def of_text(x: dict[str, Any], row: dict[str, Any]) -> bool:
    value = row[x["field"]] or ""
    match x["op"]:
        case "known":
            return value != ""
        case "unknown":
            return value == ""
        case "is":
            return value != "" and plain(value) == plain(x["value"])
    return value != "" and plain(x["value"]) in unicodedata.normalize("NFC", plain(f"|{value}|"))


def of_time(x: dict[str, Any], row: dict[str, Any]) -> bool:
    if x["field"] == "seen_at":
        known = [t for t in (row["last_seen_at"], row["last_order_at"]) if t]
        at = max(known) if known else None
    else:
        at = row[x["field"]]
    if x["op"] == "never":
        return at is None
    if x["op"] in ("before", "after"):
        limit = datetime.fromisoformat(x["at"])
        return at is not None and (at < limit if x["op"] == "before" else at >= limit)
    recent = at is not None and at >= NOON - timedelta(days=x["days"])
    return recent if x["op"] == "within_days" else not recent


def of_attribute(x: dict[str, Any], row: dict[str, Any]) -> bool:
    fact, value = row["attributes"].get(x["key"]), x.get("value")
    if x["op"] in ("known", "unknown"):
        return bool((fact is not None) == (x["op"] == "known"))
    if fact is None:
        return False
    if x["op"] == "is":
        if isinstance(value, bool | int | float):
            if isinstance(value, bool):
                return bool(fact is value)
            return not isinstance(fact, bool | str) and bool(fact == value)
        return plain(str(fact) if isinstance(fact, str) else repr(fact).lower()) == plain(
            str(value)
        )
    if isinstance(fact, bool) or isinstance(fact, str) != isinstance(value, str):
        return False
    return bool(fact >= value if x["op"] == "at_least" else fact <= value)


def of_consent(x: dict[str, Any], row: dict[str, Any]) -> bool:
    mine = [e for e in row["said"] if e.channel == x["channel"]]
    newest = max(mine, key=lambda e: (e.decided_at, e.id), default=None)
    said = "undecided" if newest is None else "opted_in" if newest.is_opt_in else "opted_out"
    return bool(said == x["value"])


def of_tags(x: dict[str, Any], row: dict[str, Any]) -> bool:
    asked = {UUID(t) for t in x["value"]}
    carried = bool(asked & row["tags"])
    return {"any": carried, "all": bool(asked <= row["tags"]), "none": not carried}[x["op"]]


READ: dict[str, Any] = {
    "stage": lambda x, r: (stage(r) in x["value"]) == (x["op"] == "in"),
    "tags": of_tags,
    "score": lambda x, r: (
        r["score"] >= x["value"] if x["op"] == "at_least" else r["score"] <= x["value"]
    ),
    "is_blocked": lambda x, r: r["is_blocked"] is x["value"],
    "owner_id": lambda x, r: (str(r["owner_id"]) if r["owner_id"] else None) == x["value"],
    "attribute": of_attribute,
    "consent": of_consent,
    **dict.fromkeys(("name", "email", "company", "source", "phone"), of_text),
    **dict.fromkeys(("created_at", "seen_at", "last_order_at"), of_time),
}


def leaves(tags: list[UUID], owner: UUID) -> st.SearchStrategy[dict[str, Any]]:
    def leaf(field: str, **parts: Any) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(
            {"field": st.just(field), **{k: st.sampled_from(v) for k, v in parts.items()}}
        )

    days = tuple(range(0, 61, 7))
    instants = [(NOON - timedelta(days=d)).isoformat() for d in days]
    moments = ("created_at", "seen_at", "last_order_at")
    some_tags = [[str(t)] for t in tags] + [[str(t) for t in tags[:2]], [str(new_id())]]
    return st.one_of(
        leaf("stage", op=["in", "not_in"], value=[[s] for s in STAGES] + [list(STAGES[:3])]),
        leaf("tags", op=["any", "all", "none"], value=some_tags),
        leaf("score", op=["at_least", "at_most"], value=[-1, 0, 10, 29]),
        leaf("is_blocked", value=[True, False]),
        leaf("owner_id", value=[None, str(owner), str(new_id())]),
        leaf("consent", channel=["whatsapp", "email"],
             value=["opted_in", "opted_out", "undecided"]),
        *(leaf(f, op=["contains", "is"], value=["maria", "ÃO", "%", "_", "padaria", "a", "import"])
          for f in ("name", "company", "source", "email")),
        *(leaf(f, op=["known", "unknown"]) for f in ("name", "company", "phone", "email")),
        *(leaf(f, op=["within_days", "not_within_days"], days=days) for f in moments),
        *(leaf(f, op=["before", "after"], at=instants) for f in moments),
        *(leaf(f, op=["never"]) for f in moments),
        leaf("attribute", key=["filhos", "vip", "cidade"], op=["known", "unknown"]),
        leaf("attribute", key=["filhos"], op=["is", "at_least", "at_most"], value=[2, 2.5, 3]),
        leaf("attribute", key=["vip"], op=["is"], value=[True, False]),
        leaf("attribute", key=["cidade", "desde"], op=["is"], value=["sao paulo", "2024-05-01"]),
        leaf("attribute", key=["desde"], op=["at_least", "at_most"], value=["2025-01-01"]),
    )  # fmt: skip


def expressions(crowd: Crowd) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        leaves(crowd.tags, crowd.world.owner.id),
        lambda part: st.builds(
            lambda group, parts: {group: parts},
            st.sampled_from(["all", "any", "none"]),
            st.lists(part, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )


@pytest.fixture(scope="module")
async def crowd(app: Largo) -> Crowd:
    return await Crowd(await make_world(app.runtime)).fill()


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_sql_selects_what_the_expression_means(crowd: Crowd, data: st.DataObject) -> None:
    asked = data.draw(expressions(crowd))
    async with crowd.world.work() as work:
        where = condition(EXPRESSION.validate_python(asked), NOON)
        found = await ContactRepository(work.session).ids(100, where)
    assert set(found) == {row["id"] for row in crowd.rows if holds(asked, row)}


async def test_saved_segments_list_preview_and_change(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    made = []
    for n, name in enumerate(("Ana", "Bia", "Caio")):
        body = {"name": name, "phone": f"(11) 9800{n}-0000", "stage": "qualified" if n else "lead"}
        made.append((await owner.post("/api/v1/contacts", json=body)).json()["id"])
    asked = {"any": [{"field": "stage", "value": ["qualified"]},
                     {"field": "name", "op": "is", "value": "zé"}]}  # fmt: skip
    preview = await owner.post(f"{BASE}/preview", json={"expression": asked})
    assert preview.status_code == 200, preview.text
    assert preview.json()["contacts"] == 2
    assert [c["id"] for c in preview.json()["sample"]] == made[:0:-1]
    saved = await owner.post(BASE, json={"name": "Quentes", "expression": asked})
    assert saved.status_code == 201, saved.text
    segment = saved.json()
    assert segment["expression"] == asked
    twin = await owner.post(BASE, json={"name": "Quentes", "expression": asked})
    assert (twin.status_code, twin.json()["code"]) == (409, "segment-name-taken")
    params = {"segment_id": segment["id"]}
    listed = (await owner.get("/api/v1/contacts", params=params)).json()["items"]
    assert [c["id"] for c in listed] == made[:0:-1]
    narrowed = (await owner.get("/api/v1/contacts", params={**params, "query": "bia"})).json()
    assert [c["id"] for c in narrowed["items"]] == [made[1]]
    path = f"{BASE}/{segment['id']}"
    only = {"field": "name", "op": "contains", "value": "caio"}
    assert (await owner.patch(path, json={"expression": only})).json()["expression"] == only
    listed = (await owner.get("/api/v1/contacts", params=params)).json()["items"]
    assert [c["id"] for c in listed] == [made[2]]
    for answer in (await outsider.get(path), await outsider.get("/api/v1/contacts", params=params)):
        assert (answer.status_code, answer.json()["code"]) == (404, "segment-not-found")
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.get(path)).status_code == 404


DEEP: dict[str, Any] = {"field": "score", "op": "at_least", "value": 1}
for _ in range(5):
    DEEP = {"all": [DEEP]}


@pytest.mark.parametrize(
    "asked",
    [
        {"field": "password", "op": "is", "value": "x"}, {"field": "name", "op": "is"},
        {"all": []}, {"field": "stage", "value": ["vip"]}, {}, [], "x", DEEP,
        {"field": "attribute", "key": "a'; DROP", "op": "known"},
        {"any": [{"field": "score", "op": "at_least", "value": n} for n in range(21)]},
        {"field": "created_at", "op": "before"},
        {"field": "attribute", "key": "x", "op": "at_least", "value": True},
    ],
)  # fmt: skip
async def test_expressions_that_mean_nothing_are_refused(
    owner: httpx.AsyncClient, asked: Any
) -> None:
    answer = await owner.post(BASE, json={"name": "X", "expression": asked})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert (await owner.get(BASE)).json()["items"] == []


async def test_bulk_changes_and_statistics(owner: httpx.AsyncClient, world: World) -> None:
    made = []
    for n in range(4):
        body = {"name": f"C{n}", "phone": f"(11) 9800{n}-0000"}
        made.append((await owner.post("/api/v1/contacts", json=body)).json()["id"])
    tag = (await owner.post("/api/v1/tags", json={"name": "Lista"})).json()["id"]
    bulk = "/api/v1/contacts/bulk"
    some = {"contact_ids": [*made[:2], str(new_id())], "add_tag_ids": [tag], "stage": "qualified"}
    done = await owner.post(bulk, json=some)
    assert done.json() == {"contacts": 2, "tagged": 2, "untagged": 0, "staged": 2}
    assert (await owner.post(bulk, json=some)).json() == {
        "contacts": 2, "tagged": 0, "untagged": 0, "staged": 0,
    }  # fmt: skip
    segment = await owner.post(
        BASE, json={"name": "L", "expression": {"field": "tags", "value": [tag]}}
    )
    rest = {"segment_id": segment.json()["id"], "remove_tag_ids": [tag]}
    assert (await owner.post(bulk, json=rest)).json()["untagged"] == 2
    for wrong in (
        {"contact_ids": made, "add_tag_ids": [str(new_id())]}, {"contact_ids": made},
        {"add_tag_ids": [tag]}, {**rest, "contact_ids": made},
    ):  # fmt: skip
        assert (await owner.post(bulk, json=wrong)).status_code == 422
    consent = {"channel": "whatsapp", "category": "marketing", "is_opt_in": True}
    for is_opt_in in (True, False):
        await owner.post(
            f"/api/v1/contacts/{made[0]}/consents", json={**consent, "is_opt_in": is_opt_in}
        )
    await owner.post(f"/api/v1/contacts/{made[1]}/consents", json=consent)
    async with world.work() as work:
        await work.session.execute(
            update(Contact)
            .where(Contact.id == UUID(made[3]))
            .values(last_seen_at=now() - timedelta(days=10), is_blocked=True, score=40)
        )
    answer = await owner.get("/api/v1/contacts/statistics")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["stages"] | {"lead": 2, "qualified": 2} == found["stages"]
    assert sum(found["stages"].values()) == found["contacts"] == 4
    figures = ("blocked", "new_30_days", "seen_7_days", "seen_30_days", "never_seen",
               "average_score")  # fmt: skip
    assert [found[name] for name in figures] == [1, 4, 0, 1, 3, 10]
    assert found["consents"] == [{"channel": "whatsapp", "opted_in": 1, "opted_out": 1}]


async def test_scores_are_what_rules_and_people_give(
    owner: httpx.AsyncClient, world: World
) -> None:
    rules = "/api/v1/score-rules"
    made = []
    for n, stage_ in enumerate(("lead", "qualified")):
        body = {"name": f"C{n}", "phone": f"(11) 9800{n}-0000", "stage": stage_}
        made.append((await owner.post("/api/v1/contacts", json=body)).json()["id"])
    await owner.patch(f"/api/v1/contacts/{made[0]}", json={"score_adjustment": 3})

    async def scores() -> list[int]:
        return [(await owner.get(f"/api/v1/contacts/{id}")).json()["score"] for id in made]

    hot = {"name": "Q", "expression": {"field": "stage", "value": ["qualified"]}, "points": 20}
    rule = await owner.post(rules, json=hot)
    assert rule.status_code == 201, rule.text
    cold = {"name": "N", "expression": {"field": "seen_at", "op": "never"}, "points": -5}
    assert (await owner.post(rules, json=cold)).status_code == 201
    assert await scores() == [-2, 15]
    async with world.work() as work:
        assert await ScoreService(work).rescore() == 0, "the same facts give the same scores"
    await owner.patch(f"/api/v1/contacts/{made[0]}", json={"stage": "qualified"})
    assert (await owner.post(f"{rules}/recompute")).json() == {"changed": 1}
    assert await scores() == [18, 15]
    path = f"{rules}/{rule.json()['id']}"
    assert (await owner.patch(path, json={"is_active": False})).status_code == 200
    assert await scores() == [-2, -5]
    circle = {"field": "score", "op": "at_least", "value": 1}
    for answer in (
        await owner.post(rules, json={**hot, "name": "C", "expression": {"none": [circle]}}),
        await owner.patch(path, json={"expression": circle}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "score-rule-circular")
    assert (await owner.post(rules, json=hot)).json()["code"] == "score-rule-name-taken"
    assert (await owner.delete(path)).status_code == 204
    assert await scores() == [-2, -5]
