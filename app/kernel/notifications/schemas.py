"""Wire models of notices, of how people want to be told, and of their devices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.contracts.notices import NoticeChannel
from app.core.schema import Input, Output

DeliveryState = Literal["pending", "sending", "sent", "failed", "unknown"]
OutsideChannel = Literal["push", "telegram", "email"]
_Key = Annotated[str, StringConstraints(max_length=200, pattern=r"^[A-Za-z0-9_-]+=*$")]


class NoticeRead(Output):
    id: UUID
    kind: str = Field(description="Name of the event it tells of.")
    title: str
    body: str
    link: str | None = Field(description="Path in the user interface.")
    read_at: datetime | None
    created_at: datetime


class UnreadRead(Output):
    count: int


class NoticesReadRead(Output):
    changed: int


class ChannelRead(Output):
    channel: NoticeChannel
    is_ready: bool = Field(
        description="Whether it can reach you now: a device, a linked chat, an e-mail carrier."
    )


class KindRead(Output):
    kind: str
    label: str
    channels: dict[NoticeChannel, bool]


class PreferencesRead(Output):
    channels: list[ChannelRead]
    kinds: list[KindRead] = Field(description="What you may be told of; your grants decide.")


class PreferencesPut(Input):
    """Replaces all choices: what is not named goes back to its default."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kinds": {"commerce.order_placed": {"email": True, "push": False}}}]
        }
    )

    kinds: dict[str, dict[NoticeChannel, bool]] = Field(max_length=100)


class PushKeyRead(Output):
    public_key: str = Field(description="applicationServerKey for PushManager.subscribe().")


class SubscriptionKeys(Input):
    p256dh: _Key
    auth: _Key


class DeviceCreate(Input):
    """``PushSubscription.toJSON()`` of a browser, and a name for the device."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABkZx",
                    "keys": {
                        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
                        "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
                    },
                    "label": "Celular do balcão",
                }
            ]
        }
    )

    endpoint: Annotated[str, StringConstraints(min_length=10, max_length=2048)]
    keys: SubscriptionKeys
    expirationTime: float | None = None  # noqa: N815 - the browser's own name
    label: Annotated[str, StringConstraints(max_length=100)] = ""


class DeviceRead(Output):
    id: UUID
    label: str
    service: str = Field(description="Host of the push service.")
    last_sent_at: datetime | None
    created_at: datetime


class TelegramPut(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"chat_id": "123456789"}]})

    chat_id: str = Field(
        pattern=r"^-?[0-9]{1,20}$",
        description="Of your chat with the shop's bot: write to the bot first, or it may not.",
    )


class TelegramRead(Output):
    chat_id: str


class NoticeDeliveryRead(Output):
    id: UUID
    notice_id: UUID
    user_id: UUID
    kind: str
    channel: OutsideChannel
    state: DeliveryState = Field(
        description="unknown: the carrier may have sent it; it is not sent again."
    )
    attempts: int
    next_at: datetime | None
    error: str | None
    sent_at: datetime | None
    created_at: datetime
