"""Queries over tags, over who carries them, and over the attributes a tenant defined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.contacts.models import Contact
from app.kernel.tags.models import ContactAttribute, ContactTag, Tag
from app.kernel.tags.problems import (
    AttributeKeyTaken,
    AttributeNotFound,
    TagNameTaken,
    TagNotFound,
)


class TagRepository(Repository[Tag]):
    model = Tag
    missing = TagNotFound
    conflicts: ClassVar = {"tags_tenant_id_folded_key": TagNameTaken}

    async def counts(self, tag_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """How many contacts carry each, doubles aside."""
        rows = await self.session.execute(
            select(ContactTag.tag_id, func.count())
            .join(Contact, Contact.id == ContactTag.contact_id)
            .where(ContactTag.tag_id.in_(tag_ids), Contact.merged_into_id.is_(None))
            .group_by(ContactTag.tag_id)
        )
        return {tag_id: count for tag_id, count in rows}

    async def known(self, tag_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these are tags; their rows stay until the commit."""
        rows = await self.session.execute(
            select(Tag.id)
            .where(Tag.id.in_(tag_ids))
            .order_by(Tag.id)
            .with_for_update(key_share=True, read=True)
        )
        return set(rows.scalars())

    async def of(self, contact_ids: Sequence[UUID]) -> dict[UUID, list[Tag]]:
        """The tags of each contact by name, in one statement."""
        rows = await self.session.execute(
            select(ContactTag.contact_id, Tag)
            .join(Tag, Tag.id == ContactTag.tag_id)
            .where(ContactTag.contact_id.in_(contact_ids))
            .order_by(Tag.folded)
        )
        found: dict[UUID, list[Tag]] = defaultdict(list)
        for contact_id, tag in rows:
            found[contact_id].append(tag)
        return found

    async def give(self, contact_ids: Sequence[UUID], tag_ids: Sequence[UUID]) -> int:
        """Give every contact every tag; how many were new."""
        rows = [
            {"id": new_id(), "contact_id": contact_id, "tag_id": tag_id}
            for contact_id in contact_ids
            for tag_id in tag_ids
        ]
        given = 0
        for start in range(0, len(rows), 5000):
            done = await self.session.execute(
                insert(ContactTag)
                .values(rows[start : start + 5000])
                .on_conflict_do_nothing()
                .returning(ContactTag.id)
            )
            given += len(done.all())
        return given

    async def take(self, contact_ids: Sequence[UUID], tag_ids: Sequence[UUID]) -> int:
        """Take these tags from these contacts; how many they carried."""
        done = await self.session.execute(
            delete(ContactTag)
            .where(ContactTag.contact_id.in_(contact_ids), ContactTag.tag_id.in_(tag_ids))
            .returning(ContactTag.id)
        )
        return len(done.all())


class AttributeRepository(Repository[ContactAttribute]):
    model = ContactAttribute
    missing = AttributeNotFound
    conflicts: ClassVar = {"contact_attributes_tenant_id_key_key": AttributeKeyTaken}

    async def defined(self) -> Sequence[ContactAttribute]:
        return await self.all(self.query().order_by(ContactAttribute.id))

    async def forget(self, key: str) -> int:
        """Take the fact from every contact; how many had it."""
        done = await self.session.execute(
            update(Contact)
            .where(Contact.attributes.has_key(key))
            .values(attributes=Contact.attributes.op("-")(key))
            .returning(Contact.id)
            .execution_options(synchronize_session=False)
        )
        return len(done.all())
