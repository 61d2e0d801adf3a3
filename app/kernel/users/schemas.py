"""Wire models of users."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, EmailStr, Field, StringConstraints

from app.core.passwords import is_common
from app.core.schema import Input, Output

Role = Literal["owner", "admin", "manager", "agent", "viewer"]


def _plain(email: str) -> str:
    if not email.isascii():
        raise ValueError("only plain ASCII addresses are accepted")
    return email.lower()


Email = Annotated[EmailStr, AfterValidator(_plain), Field(max_length=254)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


def _uncommon(password: str) -> str:
    if is_common(password):
        raise ValueError("this is one of the most used passwords: choose another one")
    return password


# Not stripped: a space at the end of a password is part of it.
Password = Annotated[
    str,
    Field(min_length=8, max_length=1024, json_schema_extra={"format": "password"}),
    AfterValidator(_uncommon),
]


class UserCreate(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [
                {
                    "email": "marina@bellamassa.example",
                    "name": "Marina Duarte",
                    "role": "manager",
                    "password": "forno-a-lenha-2026",
                }
            ]
        },
    )

    email: Email
    name: Name
    role: Role
    password: Password


class UserUpdate(Input):
    """Only what is sent changes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin"}]})

    name: Name | None = None
    role: Role | None = None
    is_active: bool | None = None


class PasswordSet(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={"examples": [{"password": "massa-fina-e-crocante"}]},
    )

    password: Password


class UserRead(Output):
    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    last_login_at: datetime | None
    created_at: datetime
