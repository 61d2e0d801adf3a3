"""Tags and the tenant's own attributes: defined, changed, given to contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from app.core.fold import fold
from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.tags.models import ContactAttribute, Tag
from app.kernel.tags.problems import AttributeInvalid
from app.kernel.tags.repository import AttributeRepository, TagRepository
from app.kernel.tags.rules import misfits
from app.kernel.tags.schemas import AttributeCreate, AttributeUpdate, TagCreate, TagUpdate
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class CountedTag:
    id: UUID
    name: str
    color: str
    created_at: datetime
    contacts: int


class TagService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.tags = TagRepository(work.session)

    async def page(self, page: PageRequest) -> Page[CountedTag]:
        found = await self.tags.page(self.tags.query(), page)
        counts = await self.tags.counts([tag.id for tag in found.items])
        items = [
            CountedTag(t.id, t.name, t.color, t.created_at, counts.get(t.id, 0))
            for t in found.items
        ]
        return Page(items, found.next_cursor)

    async def create(self, body: TagCreate) -> Tag:
        """Raises TagNameTaken."""
        tag = await self.tags.add(Tag(name=body.name, folded=fold(body.name), color=body.color))
        await self.work.session.refresh(tag)
        self.work.record("tag.created", "tag", tag.id, name=tag.name)
        return tag

    async def change(self, tag_id: UUID, body: TagUpdate) -> Tag:
        """Raises TagNotFound, TagNameTaken."""
        tag = await self.tags.get(tag_id, lock=True)
        before = {"name": tag.name, "color": tag.color}
        tag.name, tag.color = body.name or tag.name, body.color or tag.color
        tag.folded = fold(tag.name)
        after = {"name": tag.name, "color": tag.color}
        if after != before:
            await self.tags.flush()
            self.work.record("tag.updated", "tag", tag.id, before=before, after=after)
        return tag

    async def delete(self, tag_id: UUID) -> None:
        """Take it from everybody and away. Raises TagNotFound."""
        tag = await self.tags.get(tag_id, lock=True)
        self.work.record("tag.deleted", "tag", tag.id, name=tag.name)
        await self.tags.delete(tag)

    async def of(self, contact_ids: Sequence[UUID]) -> dict[UUID, list[Tag]]:
        return await self.tags.of(contact_ids)

    async def ensure(self, tag_ids: Sequence[UUID], where: str = "tag_ids") -> list[UUID]:
        """The ids, each once. Raises Invalid when one is no tag of this tenant."""
        wanted = sorted(set(tag_ids))
        known = await self.tags.known(wanted) if wanted else set()
        if set(wanted) - known:
            raise Invalid(
                errors=[
                    {"pointer": f"/body/{where}/{at}", "detail": "There is no such tag."}
                    for at, tag_id in enumerate(tag_ids)
                    if tag_id not in known
                ]
            )
        return wanted

    async def give(self, contact_ids: Sequence[UUID], tag_ids: Sequence[UUID]) -> int:
        """Give tags; how many were new. Raises Invalid for an unknown tag."""
        wanted = await self.ensure(tag_ids)
        return await self.tags.give(contact_ids, wanted) if contact_ids and wanted else 0

    async def take(self, contact_ids: Sequence[UUID], tag_ids: Sequence[UUID]) -> int:
        """Take tags; how many were carried."""
        return await self.tags.take(contact_ids, tag_ids) if contact_ids and tag_ids else 0

    async def set(self, contact_id: UUID, tag_ids: Sequence[UUID]) -> None:
        """Make these, and no others, the contact's tags. Raises Invalid for an unknown tag."""
        wanted = await self.ensure(tag_ids)
        carried = {tag.id for tag in (await self.tags.of([contact_id])).get(contact_id, [])}
        joining, leaving = sorted(set(wanted) - carried), sorted(carried - set(wanted))
        await self.give([contact_id], joining)
        await self.take([contact_id], leaving)
        if joining or leaving:
            self.work.record("contact.tagged", "contact", contact_id, given=joining, taken=leaving)


class AttributeService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.attributes = AttributeRepository(work.session)

    async def defined(self) -> Sequence[ContactAttribute]:
        return await self.attributes.defined()

    async def create(self, body: AttributeCreate) -> ContactAttribute:
        """Raises AttributeKeyTaken."""
        row = await self.attributes.add(ContactAttribute(**body.model_dump()))
        await self.work.session.refresh(row)
        self.work.record("attribute.created", "attribute", row.id, key=row.key, kind=row.kind)
        return row

    async def change(self, attribute_id: UUID, body: AttributeUpdate) -> ContactAttribute:
        """Raises AttributeNotFound, AttributeInvalid (choices for what is no choice)."""
        row = await self.attributes.get(attribute_id, lock=True)
        sent = body.model_dump(exclude_unset=True)
        if "choices" in sent and row.kind != "choice":
            raise AttributeInvalid(
                errors=[{"pointer": "/body/choices", "detail": f"It is a {row.kind}."}]
            )
        before = {name: getattr(row, name) for name in sent}
        for name, value in sent.items():
            setattr(row, name, value)
        await self.attributes.flush()
        if before != sent:
            self.work.record("attribute.updated", "attribute", row.id, before=before, after=sent)
        return row

    async def delete(self, attribute_id: UUID) -> None:
        """Take the fact from every contact, and its definition away. Raises AttributeNotFound."""
        row = await self.attributes.get(attribute_id, lock=True)
        count = await self.attributes.forget(row.key)
        self.work.record("attribute.deleted", "attribute", row.id, key=row.key, contacts=count)
        await self.attributes.delete(row)

    async def fitted(
        self, before: Mapping[str, JsonValue], sent: Mapping[str, JsonValue]
    ) -> dict[str, JsonValue]:
        """The contact's facts after ``sent``, where null removes one. Raises AttributeInvalid."""
        errors = misfits(await self.defined(), sent) if sent else []
        if errors:
            raise AttributeInvalid(errors=errors)
        return {k: v for k, v in {**before, **sent}.items() if v is not None}
