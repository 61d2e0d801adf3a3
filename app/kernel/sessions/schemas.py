"""Wire models of logging in and of sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.users.schemas import Password

Device = Annotated[
    Annotated[str, Field(min_length=1, max_length=80)] | None,
    Field(description="What to call the session's device; else it is told from the browser."),
]


class Login(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,  # a space at the end of a password is part of it
        json_schema_extra={
            "examples": [{"email": "dono@bellamassa.example", "password": "the-password"}]
        },
    )

    email: str = Field(min_length=3, max_length=254)
    password: str = Field(min_length=1, max_length=1024)
    device: Device = None


class CodeLogin(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"challenge": "eyJ1bnRpbCI6MTc5NTM2N30.c2lnbmVkLWJ5LXVz", "code": "492039"}
            ]
        }
    )

    challenge: str = Field(min_length=10, max_length=1000)
    code: str = Field(
        min_length=6, max_length=40, description="Six digits of the app, or a recovery code."
    )
    device: Device = None


class LoginChallenge(Output):
    step: Literal["totp-required"] = "totp-required"
    challenge: str = Field(description="For POST /auth/login/totp, with a code.")
    expires_in: int = Field(description="Seconds.")


class LoginRead(Output):
    step: Literal["done"] = "done"
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name, RFC 6750
    expires_in: int = Field(description="Seconds.")
    refresh_token: str = Field(description="Good for one exchange at POST /auth/refresh.")
    session_id: UUID
    tenant_id: UUID
    tenant_slug: str = Field(description="Send it as X-Tenant.")
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


class ImpersonatorRead(Output):
    name: str = Field(description="E-mail of the person of the platform.")
    expires_at: datetime


class MeRead(MemberRead):
    session_id: UUID
    tenant_id: UUID
    tenant_slug: str
    tenant_name: str
    modules: list[str]
    grants: list[str] = Field(description="What this member may do, as module.action.")
    impersonated_by: ImpersonatorRead | None = Field(
        description="Who of the platform works in this member's name; null: the member does."
    )
    first_access_test: bool = Field(
        description="Show the first steps as if this were the first access."
    )


class ModuleRead(Output):
    """A module as this member meets it: what a menu shows."""

    name: str = Field(examples=["commerce"])
    is_on: bool = Field(description="Part of the plan, which is in force.")
    is_visible: bool = Field(description="On, and there is something the member may do in it.")
    areas: dict[str, list[str]] = Field(
        description="What the member may do, by area; as far as the module is on.",
        examples=[{"orders": ["read", "update"]}],
    )


class SessionRead(Output):
    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str | None
    device: str | None
