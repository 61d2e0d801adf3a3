"""Wire models of connections: secrets go in and never come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output

Values = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[str, Field(max_length=2048)],
    ],
    Field(max_length=20),
]


class ConnectionPut(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "config": {"phone_number_id": "106540352242922"},
                    "secret": {"access_token": "the-token-from-the-vendor"},
                    "is_enabled": True,
                }
            ]
        }
    )

    config: Values
    secret: Values | None = Field(None, description="Write-only; left out, the stored one stays.")
    is_enabled: bool = True


class ConnectionRead(Output):
    provider: str
    is_connected: bool = Field(description="Whether credentials are stored.")
    is_enabled: bool
    config: dict[str, str]
    config_fields: list[str] = Field(description="What `config` needs.")
    secret_fields: list[str] = Field(description="What `secret` needs.")
    connected_at: datetime | None
