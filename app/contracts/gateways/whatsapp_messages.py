"""The plain kinds of message that WhatsApp takes, in the vendor's shape and limits.

One model serves the API's bodies, the sender and the client, so that what passes here is what
leaves: ``wire`` is the part of the request that the message is. Source: the vendor's published
description of the Cloud API, v23.0.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from app.core.schema import FreeJson


def sized(longest: int) -> StringConstraints:
    """A text that is not empty and at most so long, in characters."""
    return StringConstraints(min_length=1, max_length=longest)


Id = Annotated[str, sized(512)]
Link = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://\S+$")]
Caption = Annotated[str, sized(1024)]
Short = Annotated[str, sized(60)]
Name = Annotated[str, sized(256)]
Free = dict[str, FreeJson]


class Part(BaseModel):
    """A piece of a message; what the vendor does not know is refused here."""

    model_config = ConfigDict(extra="forbid")


class Context(Part):
    message_id: Id = Field(description="The wamid of the message that is answered.")


class Base(Part):
    """What every kind may carry."""

    context: Context | None = None

    def wire(self) -> dict[str, JsonValue]:
        """The message in the vendor's words, without recipient."""
        found: dict[str, JsonValue] = self.model_dump(mode="json", exclude_none=True)
        return found


class Text(Part):
    body: Annotated[str, sized(4096)]
    preview_url: bool | None = None


class TextMessage(Base):
    type: Literal["text"] = "text"
    text: Text


class Media(Part):
    """Exactly one of ``id`` (of an upload) and ``link``."""

    id: Id | None = None
    link: Link | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Media:
        if (self.id is None) == (self.link is None):
            raise ValueError("give either id or link")
        return self


class Captioned(Media):
    caption: Caption | None = None


class Document(Captioned):
    filename: Annotated[str, sized(240)] | None = None


class Audio(Media):
    voice: bool | None = None


class ImageMessage(Base):
    type: Literal["image"] = "image"
    image: Captioned


class VideoMessage(Base):
    type: Literal["video"] = "video"
    video: Captioned


class AudioMessage(Base):
    type: Literal["audio"] = "audio"
    audio: Audio


class DocumentMessage(Base):
    type: Literal["document"] = "document"
    document: Document


class StickerMessage(Base):
    type: Literal["sticker"] = "sticker"
    sticker: Media


class Location(Part):
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: Annotated[str, sized(1000)] | None = None
    address: Annotated[str, sized(1000)] | None = None


class LocationMessage(Base):
    type: Literal["location"] = "location"
    location: Location


class PersonName(Part):
    formatted_name: Name
    first_name: Name | None = None
    last_name: Name | None = None
    middle_name: Name | None = None
    suffix: Name | None = None
    prefix: Name | None = None


class Card(Part):
    """A person's card, as phones keep it."""

    name: PersonName
    phones: list[dict[str, str]] | None = Field(None, max_length=20)
    emails: list[dict[str, str]] | None = Field(None, max_length=20)
    addresses: list[dict[str, str]] | None = Field(None, max_length=20)
    urls: list[dict[str, str]] | None = Field(None, max_length=20)
    org: dict[str, str] | None = None
    birthday: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None


class ContactsMessage(Base):
    type: Literal["contacts"] = "contacts"
    contacts: list[Card] = Field(min_length=1, max_length=100)


class Reaction(Part):
    message_id: Id
    emoji: str = Field(max_length=32, description="Empty: take the reaction back.")


class ReactionMessage(Base):
    type: Literal["reaction"] = "reaction"
    reaction: Reaction
