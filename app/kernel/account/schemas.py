"""Wire models of one's own account, and of the team as colleagues see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.core.phone import InvalidPhone, normalise_phone
from app.core.schema import Input, Output
from app.kernel.users.schemas import Email, Name, Role

Status = Literal["online", "away", "offline"]


def _phone(raw: str) -> str:
    try:
        return normalise_phone(raw)
    except InvalidPhone as error:
        raise PydanticCustomError(
            "phone",
            "Not a valid phone number ({reason}): send it with area code, e.g. (11) 98765-4321",
            {"reason": str(error)},
        ) from error


class ProfileUpdate(Input):
    """Only what is sent changes."""

    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [{"name": "Marina Duarte Lima", "phone": "(11) 98765-4321"}]
        },
    )

    name: Name | None = None
    phone: Annotated[str, Field(max_length=40), AfterValidator(_phone)] | None = Field(
        None, description="Null removes it."
    )
    email: Email | None = Field(None, description="One logs in with it: send the password, too.")
    current_password: str | None = Field(
        None, min_length=1, max_length=1024, json_schema_extra={"format": "password"}
    )

    @model_validator(mode="after")
    def _proven(self) -> ProfileUpdate:
        if self.email is not None and self.current_password is None:
            raise ValueError("changing the e-mail needs current_password")
        return self


class StatusSet(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "away"}]})

    status: Status


class TeamMemberRead(Output):
    id: UUID
    name: str
    role: Role
    avatar_url: str | None
    status: Status = Field(description="Offline, too, once their sessions fell silent.")
    status_at: datetime | None = Field(description="When they last changed it themselves.")
    last_seen_at: datetime | None = Field(description="Last request of a live session.")
    department_ids: list[UUID]


class ProfileRead(TeamMemberRead):
    email: str
    phone: str | None
    last_login_at: datetime | None
    created_at: datetime
