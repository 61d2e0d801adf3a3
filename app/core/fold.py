"""Search that does not mind accents or case, the same in Python and in SQL."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import ColumnElement, SQLColumnExpression, func, literal_column

_MARKS = re.compile("[\u0300-\u036f]")


def fold(text: str) -> str:
    """``Pão de Açúcar`` as ``pao de acucar``."""
    return _MARKS.sub("", unicodedata.normalize("NFKD", text)).lower()


def holds(column: SQLColumnExpression[str], text: str) -> ColumnElement[bool]:
    """A condition: ``column`` contains ``text``, accents, case and outer spaces aside."""
    plain = func.regexp_replace(
        func.normalize(column, literal_column("NFKD")), "[\u0300-\u036f]", "", "g"
    )
    return func.lower(plain).contains(fold(text.strip()), autoescape=True)
