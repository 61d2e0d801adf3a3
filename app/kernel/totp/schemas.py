"""Wire models of the second factor."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output


class PasswordAgain(Input):
    """The current password: a borrowed screen must not change how one logs in."""

    model_config = ConfigDict(
        str_strip_whitespace=False,
        json_schema_extra={"examples": [{"password": "the-current-password"}]},
    )

    password: str = Field(min_length=1, max_length=1024, json_schema_extra={"format": "password"})


class TotpCode(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "492039"}]})

    code: str = Field(min_length=6, max_length=40)


class TotpStateRead(Output):
    is_on: bool
    confirmed_at: datetime | None
    recovery_codes_left: int


class TotpOfferRead(Output):
    secret: str = Field(description="Base32, to be typed where no camera is at hand.")
    otpauth_uri: str
    qr_svg: str = Field(description="The URI as a QR code: an SVG image.")


class RecoveryCodesRead(Output):
    recovery_codes: list[str] = Field(description="Each logs in once. Shown this once.")
