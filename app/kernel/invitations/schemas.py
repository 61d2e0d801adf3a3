"""Wire models of invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.users.schemas import Email, Name, Password, Role

InvitationState = Literal["pending", "accepted", "revoked"]


class InvitationCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "marina@bellamassa.example", "role": "manager"}]}
    )

    email: Email
    role: Role


class InvitationAccept(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [
                {
                    "token": "0199c0ffee007000800000000000c0de.k3Vf0m1Zt8WqYx2RbC7uHn5sJd9LgPa",
                    "name": "Marina Duarte",
                    "password": "forno-a-lenha-2026",
                }
            ]
        },
    )

    token: str = Field(min_length=20, max_length=200, description="From the letter.")
    name: Name
    password: Password


class InvitationRead(Output):
    id: UUID
    email: str
    role: Role
    invited_by: str
    state: InvitationState
    sent: int = Field(description="Letters sent; the newest one's link alone is good.")
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
