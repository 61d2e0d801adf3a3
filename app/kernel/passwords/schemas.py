"""Wire models of forgetting and resetting a password."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from app.core.schema import Input
from app.kernel.users.schemas import Password


class PasswordForgot(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "dono@bellamassa.example"}]}
    )

    email: str = Field(min_length=3, max_length=254)


class PasswordReset(Input):
    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [
                {
                    "token": "0199c0ffee007000800000000000c0de.k3Vf0m1Zt8WqYx2RbC7uHn5sJd9LgPa",
                    "password": "massa-fina-e-crocante",
                }
            ]
        },
    )

    token: str = Field(min_length=20, max_length=200, description="From the letter.")
    password: Password
