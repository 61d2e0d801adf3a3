"""Wire models of sending: what a member may send, checked against the vendor's own limits."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from app.contracts.gateways.whatsapp import Component
from app.contracts.gateways.whatsapp_interactive import AnyInteractive
from app.core.schema import Input, Output

Json = dict[str, JsonValue]


class _Message(Input):
    reply_to_id: UUID | None = Field(None, description="Message of this conversation it answers.")


class TextMessage(_Message):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"type": "text", "text": "Oi, Ana! Sua pizza já está no forno."}]
        }
    )

    type: Literal["text"]
    text: str = Field(min_length=1, max_length=4096)
    preview_url: bool = False

    def content(self) -> tuple[str, Json, str]:
        return "text", {"body": self.text, "preview_url": self.preview_url}, self.text


class TemplateMessageIn(_Message):
    type: Literal["template"]
    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$", examples=["pedido_confirmado"])
    language: str = Field(pattern=r"^[a-zA-Z_]{2,10}$", examples=["pt_BR"])
    components: list[Component] = Field(default=[], max_length=10)

    def content(self) -> tuple[str, Json, str]:
        out: Json = {"name": self.name, "language": {"code": self.language}}
        if self.components:
            out["components"] = [
                part.model_dump(mode="json", exclude_none=True) for part in self.components
            ]
        return "template", out, self.name


class MediaMessage(_Message):
    type: Literal["image", "video", "audio", "document", "sticker"]
    upload_id: UUID | None = Field(None, description="What was uploaded here to be sent.")
    media_id: str | None = Field(
        None,
        pattern=r"^\d{1,32}$",
        examples=["1013859600285441"],
        description="Instead: what WhatsApp has already, by its own id.",
    )
    caption: str | None = Field(None, max_length=1024)
    filename: str | None = Field(None, max_length=240)

    @model_validator(mode="after")
    def _fits(self) -> MediaMessage:
        if (self.upload_id is None) == (self.media_id is None):
            raise ValueError("name either upload_id or media_id")
        if self.caption and self.type in ("audio", "sticker"):
            raise ValueError("audio and stickers carry no caption")
        if self.filename and self.type != "document":
            raise ValueError("only documents have a filename")
        return self

    def content(self) -> tuple[str, Json, str]:
        out: Json = {"id": self.media_id} if self.media_id else {}
        if self.caption:
            out["caption"] = self.caption
        if self.filename:
            out["filename"] = self.filename
        return self.type, out, self.caption or self.filename or ""


class LocationMessage(_Message):
    type: Literal["location"]
    latitude: float = Field(ge=-90, le=90, examples=[-23.5614])
    longitude: float = Field(ge=-180, le=180, examples=[-46.6559])
    name: str | None = Field(None, min_length=1, max_length=200)
    address: str | None = Field(None, min_length=1, max_length=300)

    def content(self) -> tuple[str, Json, str]:
        out: Json = self.model_dump(exclude={"type", "reply_to_id"}, exclude_none=True)
        return "location", out, self.name or self.address or ""


class ReactionMessage(Input):
    type: Literal["reaction"]
    message_id: UUID = Field(description="The message reacted to.")
    emoji: str = Field("", max_length=16, description="Empty takes the reaction back.")

    def content(self) -> tuple[str, Json, str]:
        return "reaction", {"emoji": self.emoji}, self.emoji


class Button(Input):
    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=20)


class ButtonsMessage(_Message):
    type: Literal["buttons"]
    text: str = Field(min_length=1, max_length=1024)
    footer: str | None = Field(None, max_length=60)
    buttons: list[Button] = Field(min_length=1, max_length=3)

    @model_validator(mode="after")
    def _fits(self) -> ButtonsMessage:
        if len({b.id for b in self.buttons}) < len(self.buttons):
            raise ValueError("every button needs an id of its own")
        return self

    def content(self) -> tuple[str, Json, str]:
        replies: list[JsonValue] = [
            {"type": "reply", "reply": {"id": b.id, "title": b.title}} for b in self.buttons
        ]
        out = _interactive("button", self.text, self.footer, {"buttons": replies})
        return "interactive", out, self.text


class Row(Input):
    id: str = Field(min_length=1, max_length=200)
    title: str = Field(min_length=1, max_length=24)
    description: str | None = Field(None, min_length=1, max_length=72)


class Section(Input):
    title: str | None = Field(None, min_length=1, max_length=24)
    rows: list[Row] = Field(min_length=1, max_length=10)


class ListMessage(_Message):
    type: Literal["list"]
    text: str = Field(min_length=1, max_length=1024)
    footer: str | None = Field(None, max_length=60)
    button: str = Field(min_length=1, max_length=20)
    sections: list[Section] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _fits(self) -> ListMessage:
        ids = [row.id for s in self.sections for row in s.rows]
        if len(ids) > 10:
            raise ValueError("a list has at most ten rows in all")
        if len(set(ids)) < len(ids):
            raise ValueError("every row needs an id of its own")
        if len(self.sections) > 1 and not all(s.title for s in self.sections):
            raise ValueError("every section needs a title when there are several")
        return self

    def content(self) -> tuple[str, Json, str]:
        sections: list[JsonValue] = [s.model_dump(exclude_none=True) for s in self.sections]
        action: Json = {"button": self.button, "sections": sections}
        return "interactive", _interactive("list", self.text, self.footer, action), self.text


def _interactive(kind: str, text: str, footer: str | None, action: Json) -> Json:
    out: Json = {"type": kind, "body": {"text": text}, "action": action}
    if footer:
        out["footer"] = {"text": footer}
    return out


MessageIn = Annotated[
    TextMessage
    | TemplateMessageIn
    | MediaMessage
    | LocationMessage
    | ReactionMessage
    | ButtonsMessage
    | ListMessage,
    Field(discriminator="type"),
]


class OwnInteractive(_Message):
    """What we say of our own accord in one of the vendor's richer shapes; no route takes it."""

    type: Literal["interactive"] = "interactive"
    text: str = Field(min_length=1, max_length=1024)
    interactive: AnyInteractive

    def content(self) -> tuple[str, Json, str]:
        out: Json = self.interactive.model_dump(mode="json", exclude_none=True)
        return "interactive", out, self.text


class TemplateChoice(Output):
    id: UUID
    name: str
    language: str
    category: str
