"""What every repository can do; a domain repository adds only named queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.interfaces import ORMOption

from app.core.database import RawConnection, raw
from app.core.model import Model
from app.core.pagination import Page, PageRequest
from app.core.problems import Conflict, NotFound

M = TypeVar("M", bound=Model)


class Repository(Generic[M]):
    """Queries over one model. No rules, no commits, no tenant filters: Postgres applies those."""

    model: type[M]
    missing: ClassVar[type[NotFound]] = NotFound
    conflicts: ClassVar[Mapping[str, type[Conflict]]] = {}

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def loads(self) -> Sequence[ORMOption]:
        """What comes with every row; a method, as naming relationships at import needs them all."""
        return ()

    def query(self) -> Select[M]:
        return select(self.model).options(*self.loads())

    async def get(self, id: UUID, *, lock: bool = False) -> M:
        """The row, or the slice's own NotFound; ``lock`` takes it for a transition."""
        row = await self.find(id, lock=lock)
        if row is None:
            raise self.missing()
        return row

    async def find(self, id: UUID, *, lock: bool = False) -> M | None:
        statement = self.query().where(self.model.id == id)
        return await self.one_or_none(
            statement.with_for_update(of=self.model) if lock else statement
        )

    async def one_or_none(self, statement: Select[M]) -> M | None:
        return (await self.session.execute(statement)).unique().scalar_one_or_none()

    async def all(self, statement: Select[M]) -> Sequence[M]:
        return (await self.session.execute(statement)).unique().scalars().all()

    async def page(self, statement: Select[M], request: PageRequest) -> Page[M]:
        """One page, newest first; ``request.cursor`` is the last id of the page before."""
        if request.cursor is not None:
            statement = statement.where(self.model.id < request.cursor)
        rows = await self.all(statement.order_by(self.model.id.desc()).limit(request.limit + 1))
        items = rows[: request.limit]
        return Page(items, items[-1].id if len(rows) > request.limit else None)

    async def add(self, row: M) -> M:
        """Insert now; a broken unique constraint becomes the problem declared for it."""
        self.session.add(row)
        await self.flush()
        return row

    async def flush(self) -> None:
        """Write pending changes now; broken constraints become their declared problems."""
        try:
            await self.session.flush()
        except IntegrityError as error:
            raise self._declared(error) from error

    async def delete(self, row: M) -> None:
        await self.session.delete(row)
        await self.flush()

    async def raw(self) -> RawConnection:
        """The driver connection of this transaction, for hand-written hot statements."""
        return await raw(self.session)

    def _declared(self, error: IntegrityError) -> Exception:
        cause: Any = getattr(error.orig, "__cause__", None)
        name = str(getattr(cause, "constraint_name", ""))
        return self.conflicts[name]() if name in self.conflicts else error
