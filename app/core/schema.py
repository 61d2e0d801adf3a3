"""Bases of wire models: what comes in is closed, what goes out reads attributes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Input(BaseModel):
    """A request body. Unknown fields are refused: a typo never passes as a missing option."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Output(BaseModel):
    """A response body, read from rows or dataclasses."""

    model_config = ConfigDict(from_attributes=True)
