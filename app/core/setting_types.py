"""Settings that hold several values, as a person writes them: separated by commas."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _split_lower(value: object) -> object:
    return _split(value.lower() if isinstance(value, str) else value)


Ring = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
"""Secrets of one purpose: the first signs, all verify."""
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_lower)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Delays = Annotated[tuple[float, ...], NoDecode, BeforeValidator(_split)]
