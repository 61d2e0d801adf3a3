"""Carts made from what is stored: an old order may hold what a cart may not."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from app.commerce.checkout.schemas import CartIn
from app.commerce.desk.problems import OrderNotOrderable


def orderable(facts: dict[str, Any]) -> CartIn:
    """The cart of these facts. Raises OrderNotOrderable, naming what is missing or too much."""
    try:
        return CartIn.model_validate(facts)
    except ValidationError as error:
        raise OrderNotOrderable(
            errors=[
                {"pointer": "/" + "/".join(map(str, e["loc"])), "detail": e["msg"]}
                for e in error.errors(include_url=False, include_input=False, include_context=False)
            ]
        ) from error
