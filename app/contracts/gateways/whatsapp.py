"""What WhatsApp's Cloud API must do for us: messages, media, templates, numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Annotated, BinaryIO, Literal, Protocol

from pydantic import Field, JsonValue, StrictBool, StringConstraints, TypeAdapter, model_validator

from app.contracts.gateways.messaging import SentMessage
from app.contracts.gateways.whatsapp_interactive import InteractiveMessage
from app.contracts.gateways.whatsapp_messages import (
    AudioMessage,
    Base,
    ContactsMessage,
    Document,
    DocumentMessage,
    Free,
    Id,
    ImageMessage,
    Location,
    LocationMessage,
    Media,
    Part,
    ReactionMessage,
    StickerMessage,
    TextMessage,
    VideoMessage,
)

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]


class TemplateLanguage(Part):
    code: Language
    policy: Literal["deterministic"] | None = None


class Parameter(Part):
    """One value; ``type`` names the field that holds it."""

    type: Literal[
        "text", "currency", "date_time", "image", "video", "document", "location", "payload",
        "coupon_code", "action", "limited_time_offer", "product",
    ]  # fmt: skip
    parameter_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")] | None = None
    text: Annotated[str, StringConstraints(max_length=1024)] | StrictBool | None = None
    currency: Free | None = None
    date_time: Free | None = None
    image: Media | None = None
    video: Media | None = None
    document: Document | None = None
    location: Location | None = None
    payload: Annotated[str, StringConstraints(max_length=256)] | None = None
    coupon_code: Annotated[str, StringConstraints(max_length=20)] | None = None
    action: Free | None = None
    limited_time_offer: Free | None = None
    product: Free | None = None

    @model_validator(mode="after")
    def _holds_its_type(self) -> Parameter:
        held = {n for n in type(self).model_fields if getattr(self, n) is not None}
        if held - {"type", "parameter_name"} != {self.type}:
            raise ValueError(f"a parameter of type {self.type} holds {self.type} and nothing else")
        return self


Index = Annotated[int, Field(ge=0, le=9)] | Annotated[str, StringConstraints(pattern=r"^\d$")]


class Component(Part):
    """The values of one component of a template."""

    type: Literal["header", "body", "button", "carousel", "limited_time_offer"]
    parameters: list[Parameter] | None = Field(None, max_length=100)
    sub_type: (
        Annotated[
            str,
            StringConstraints(
                pattern=r"(?i)^(quick_reply|url|copy_code|flow|catalog|mpm|spm|order_details|voice_call)$"
            ),
        ]
        | None
    ) = None
    index: Index | None = None
    cards: list[CarouselCard] | None = Field(None, min_length=1, max_length=10)

    @model_validator(mode="after")
    def _complete(self) -> Component:
        if self.type == "button" and (self.sub_type is None or self.index is None):
            raise ValueError("a button names its sub_type and its index")
        if (self.type == "carousel") != (self.cards is not None):
            raise ValueError("a carousel, and nothing else, has cards")
        return self


class CarouselCard(Part):
    card_index: int = Field(ge=0, le=9)
    components: list[Component] = Field(max_length=5)


class Template(Part):
    name: TemplateName
    language: TemplateLanguage
    components: list[Component] | None = Field(None, max_length=20)


class TemplateSend(Base):
    type: Literal["template"] = "template"
    template: Template


OutboundMessage = Annotated[
    TextMessage
    | ImageMessage
    | VideoMessage
    | AudioMessage
    | DocumentMessage
    | StickerMessage
    | LocationMessage
    | ContactsMessage
    | ReactionMessage
    | InteractiveMessage
    | TemplateSend,
    Field(discriminator="type"),
]
OUTBOUND: TypeAdapter[OutboundMessage] = TypeAdapter(OutboundMessage)
"""Reads a message that was kept as JSON: ``OUTBOUND.validate_python(content)``."""


@dataclass(frozen=True, slots=True)
class WhatsAppAccount:
    """Whose number acts. ``base_url`` and ``version`` empty: the vendor's own, as the settings
    have them; a base URL given by a tenant is dialled through the guard."""

    token: str = field(repr=False)
    phone_number_id: str
    waba_id: str = ""
    base_url: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """Where a medium can be fetched for five minutes; size in bytes as the vendor claims it."""

    id: str
    url: str
    media_type: str
    sha256: str
    size: int | None


@dataclass(frozen=True, slots=True)
class RemoteNumber:
    """A number as the vendor has it; words in lower case, None where it says nothing."""

    id: str
    display_phone: str
    verified_name: str | None
    quality: str
    status: str
    messaging_limit: int | None
    """None: without end, if ``tells_limit``."""
    tells_limit: bool
    per_second: int | None


@dataclass(frozen=True, slots=True)
class RemoteTemplate:
    """A template as the vendor has it; words in lower case, components untouched."""

    id: str
    name: str
    language: str
    category: str
    status: str
    parameter_format: str
    quality: str
    reason: str | None
    components: tuple[Mapping[str, JsonValue], ...]


class WhatsAppGateway(Protocol):
    """Everything about one number; never called inside a transaction.

    Every method raises a ``GatewayFailure``; what only looks never raises GatewayOutcomeUnknown.
    """

    async def send(
        self, account: WhatsAppAccount, to: str, message: OutboundMessage, *, reference: str
    ) -> SentMessage:
        """Send one message; ``reference`` names this attempt and comes back with its statuses."""
        ...

    async def mark_read(
        self, account: WhatsAppAccount, message_id: Id, *, typing: bool = False
    ) -> None:
        """Show a message as read, and that an answer is being written."""
        ...

    async def upload(
        self, account: WhatsAppAccount, *, name: str, media_type: str, content: bytes | BinaryIO
    ) -> str:
        """The id of an uploaded medium, good for thirty days; safe to repeat."""
        ...

    async def upload_session(
        self, account: WhatsAppAccount, *, name: str, media_type: str, size: int
    ) -> str:
        """Begin to hand over a sample for a template's header: the session's name."""
        ...

    async def upload_sample(
        self, account: WhatsAppAccount, session: str, content: bytes, offset: int
    ) -> str:
        """The sample's bytes from ``offset`` on: its handle."""
        ...

    async def upload_offset(self, account: WhatsAppAccount, session: str) -> int:
        """How many bytes of a sample the vendor has; to go on after a break."""
        ...

    async def media(self, account: WhatsAppAccount, media_id: str) -> MediaInfo:
        """Where a medium can be fetched."""
        ...

    def download(
        self, account: WhatsAppAccount, url: str, *, most: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A medium's bytes in pieces; more than ``most`` is refused as ``too-large``."""
        ...

    async def delete_media(self, account: WhatsAppAccount, media_id: str) -> None:
        """Forget an upload."""
        ...

    async def number(self, account: WhatsAppAccount) -> RemoteNumber:
        """The number as it is now."""
        ...

    async def numbers(self, account: WhatsAppAccount) -> list[RemoteNumber]:
        """All numbers of the account's WABA."""
        ...

    async def register(self, account: WhatsAppAccount, pin: str) -> None:
        """Begin to use the number; ``pin`` is its two-step verification, six digits."""
        ...

    async def block(self, account: WhatsAppAccount, user: str, *, blocked: bool = True) -> None:
        """Block a person, or no longer."""
        ...

    def templates(self, account: WhatsAppAccount) -> AsyncIterator[list[RemoteTemplate]]:
        """All templates of the WABA, page by page."""
        ...

    async def create_template(
        self, account: WhatsAppAccount, definition: Mapping[str, JsonValue]
    ) -> tuple[str, str, str]:
        """Hand a template in for review: its id, status and category."""
        ...

    async def edit_template(
        self, account: WhatsAppAccount, vendor_id: str, definition: Mapping[str, JsonValue]
    ) -> None:
        """Change one, which is reviewed again."""
        ...

    async def delete_template(
        self, account: WhatsAppAccount, name: str, vendor_id: str | None
    ) -> None:
        """Delete one language, or every one of that name when ``vendor_id`` is None."""
        ...
