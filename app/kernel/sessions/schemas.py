"""Wire models of logging in and of sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.users.schemas import Password


class Login(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,  # a space at the end of a password is part of it
        json_schema_extra={
            "examples": [{"email": "dono@bellamassa.example", "password": "the-password"}]
        },
    )

    email: str = Field(min_length=3, max_length=254)
    password: str = Field(min_length=1, max_length=1024)


class LoginRead(Output):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name, RFC 6750
    expires_in: int = Field(description="Seconds.")
    refresh_token: str = Field(description="Good for one exchange at POST /auth/refresh.")
    session_id: UUID
    user: MemberRead


class Refresh(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"refresh_token": "k3Vf0m1Zt8WqYx2RbC7uHn5sJd9LgPaEiOtQwXyZ012"}]
        },
    )

    refresh_token: str = Field(min_length=20, max_length=200)


class RefreshRead(Output):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name, RFC 6750
    expires_in: int = Field(description="Seconds.")
    refresh_token: str = Field(description="Replaces the one that was sent.")


class PasswordChange(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [
                {"current_password": "the-old-password", "password": "massa-fina-e-crocante"}
            ]
        },
    )

    current_password: str = Field(
        min_length=1, max_length=1024, json_schema_extra={"format": "password"}
    )
    password: Password


class MemberRead(Output):
    id: UUID
    email: str
    name: str
    role: str


class MeRead(MemberRead):
    session_id: UUID
    tenant_id: UUID
    tenant_slug: str
    tenant_name: str
    modules: list[str]
    grants: list[str] = Field(description="What this member may do, as module.action.")


class SessionRead(Output):
    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str | None
