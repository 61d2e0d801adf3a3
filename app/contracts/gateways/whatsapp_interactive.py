"""Messages that a person answers by tapping: buttons, lists, products, flows, payments.

The limits are the vendor's. Source: its published description of the Cloud API, v23.0.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.contracts.gateways.whatsapp_messages import (
    Base,
    Caption,
    Document,
    Free,
    Id,
    Link,
    Media,
    Name,
    Part,
    Short,
    sized,
)


class Header(Part):
    """One of text, image, video and document, the one that ``type`` names."""

    type: Literal["text", "image", "video", "document"]
    text: Short | None = None
    image: Media | None = None
    video: Media | None = None
    document: Document | None = None
    sub_text: Short | None = None

    @model_validator(mode="after")
    def _one_content(self) -> Header:
        held = [k for k in ("text", "image", "video", "document") if getattr(self, k) is not None]
        if held != [self.type]:
            raise ValueError(f"a header of type {self.type} holds {self.type} and nothing else")
        return self


class Body(Part):
    text: Caption


class LongBody(Part):
    text: Annotated[str, sized(4096)]


class Footer(Part):
    text: Short


class Reply(Part):
    id: Name
    title: Annotated[str, sized(20)]


class ReplyButton(Part):
    type: Literal["reply"] = "reply"
    reply: Reply


class Buttons(Part):
    buttons: list[ReplyButton] = Field(min_length=1, max_length=3)

    @model_validator(mode="after")
    def _distinct(self) -> Buttons:
        _different([button.reply.id for button in self.buttons])
        return self


class Row(Part):
    id: Annotated[str, sized(200)]
    title: Annotated[str, sized(24)]
    description: Annotated[str, sized(72)] | None = None


class ListSection(Part):
    title: Annotated[str, sized(24)] | None = None
    rows: list[Row] = Field(min_length=1, max_length=10)


class Sections(Part):
    button: Annotated[str, sized(20)]
    sections: list[ListSection] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _ten_rows(self) -> Sections:
        rows = [row.id for section in self.sections for row in section.rows]
        if len(rows) > 10:
            raise ValueError("a list holds at most 10 rows in all")
        if len(self.sections) > 1 and any(section.title is None for section in self.sections):
            raise ValueError("every section needs a title when there is more than one")
        _different(rows)
        return self


class CtaParameters(Part):
    display_text: Annotated[str, sized(20)]
    url: Link


class CtaUrl(Part):
    name: Literal["cta_url"] = "cta_url"
    parameters: CtaParameters


class Product(Part):
    catalog_id: Id
    product_retailer_id: Id


class ProductItem(Part):
    product_retailer_id: Id


class ProductSection(Part):
    title: Annotated[str, sized(24)] | None = None
    product_items: list[ProductItem] = Field(min_length=1, max_length=30)


class ProductList(Part):
    catalog_id: Id
    sections: list[ProductSection] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _thirty(self) -> ProductList:
        if sum(len(section.product_items) for section in self.sections) > 30:
            raise ValueError("a product list holds at most 30 products")
        if len(self.sections) > 1 and any(section.title is None for section in self.sections):
            raise ValueError("every section needs a title when there is more than one")
        return self


class CatalogAction(Part):
    name: Literal["catalog_message"] = "catalog_message"
    parameters: Free | None = None


class FlowParameters(Part):
    flow_message_version: str = "3"
    flow_token: Annotated[str, sized(200)] | None = None
    flow_id: Id | None = None
    flow_name: Id | None = None
    flow_cta: Annotated[str, sized(30)]
    flow_action: Literal["navigate", "data_exchange"] | None = None
    flow_action_payload: Free | None = None
    mode: Literal["draft", "published"] | None = None

    @model_validator(mode="after")
    def _one_flow(self) -> FlowParameters:
        if (self.flow_id is None) == (self.flow_name is None):
            raise ValueError("give either flow_id or flow_name")
        return self


class FlowAction(Part):
    name: Literal["flow"] = "flow"
    parameters: FlowParameters


class SendLocation(Part):
    name: Literal["send_location"] = "send_location"


class ReviewAndPay(Part):
    name: Literal["review_and_pay"] = "review_and_pay"
    parameters: Free


class OrderState(Part):
    status: Literal[
        "pending", "processing", "partially_shipped", "shipped", "completed", "canceled"
    ]
    description: Annotated[str, sized(120)] | None = None


class OrderStatusParameters(Part):
    reference_id: Annotated[str, sized(256)]
    order: OrderState


class ReviewOrder(Part):
    name: Literal["review_order"] = "review_order"
    parameters: OrderStatusParameters


class Interactive(Part):
    """What every interactive kind may carry around its action."""

    header: Header | None = None
    body: Body
    footer: Footer | None = None


class ButtonInteractive(Interactive):
    type: Literal["button"] = "button"
    action: Buttons


class ListInteractive(Interactive):
    type: Literal["list"] = "list"
    body: LongBody  # type: ignore[assignment]  # lists alone may say so much
    action: Sections

    @model_validator(mode="after")
    def _plain_header(self) -> ListInteractive:
        _text_header(self.header)
        return self


class CtaInteractive(Interactive):
    type: Literal["cta_url"] = "cta_url"
    action: CtaUrl


class ProductInteractive(Part):
    type: Literal["product"] = "product"
    body: Body | None = None
    footer: Footer | None = None
    action: Product


class ProductListInteractive(Interactive):
    type: Literal["product_list"] = "product_list"
    header: Header
    action: ProductList

    @model_validator(mode="after")
    def _plain_header(self) -> ProductListInteractive:
        _text_header(self.header)
        return self


class CatalogInteractive(Part):
    type: Literal["catalog_message"] = "catalog_message"
    body: Body
    footer: Footer | None = None
    action: CatalogAction


class FlowInteractive(Interactive):
    type: Literal["flow"] = "flow"
    action: FlowAction


class LocationRequest(Part):
    type: Literal["location_request_message"] = "location_request_message"
    body: Body
    action: SendLocation


class OrderDetails(Interactive):
    type: Literal["order_details"] = "order_details"
    action: ReviewAndPay


class OrderStatus(Part):
    type: Literal["order_status"] = "order_status"
    body: Body
    footer: Footer | None = None
    action: ReviewOrder


AnyInteractive = Annotated[
    ButtonInteractive
    | ListInteractive
    | CtaInteractive
    | ProductInteractive
    | ProductListInteractive
    | CatalogInteractive
    | FlowInteractive
    | LocationRequest
    | OrderDetails
    | OrderStatus,
    Field(discriminator="type"),
]


class InteractiveMessage(Base):
    type: Literal["interactive"] = "interactive"
    interactive: AnyInteractive


def _text_header(header: Header | None) -> None:
    if header is not None and header.type != "text":
        raise ValueError("this kind has a header of text only")


def _different(ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        raise ValueError("every id must be different")
