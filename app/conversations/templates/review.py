"""Handing templates in, changing and deleting them at the vendor, between two Works each.

The intent is a row before the call: a template whose fate is unknown stays ``submitting`` until
its status webhook or the next look at the account settles it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure, GatewayOutcomeUnknown
from app.contracts.gateways.whatsapp import WhatsAppGateway
from app.conversations.numbers.problems import problem_of
from app.conversations.numbers.service import NumberService
from app.conversations.templates import rules
from app.conversations.templates.models import MessageTemplate
from app.conversations.templates.problems import (
    TemplateExists,
    TemplateInvalid,
    TemplateNotSubmitted,
)
from app.conversations.templates.schemas import TemplateCreate, TemplateUpdate
from app.conversations.templates.service import SUBMITTING, SYNC, TemplateService
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.work import UnitOfWork, WorkFactory


async def create(works: WorkFactory, body: TemplateCreate) -> MessageTemplate:
    """Hand a new template in.

    Raises NumberNotFound, TemplateExists, TemplateInvalid, WhatsAppRefused, WhatsAppUnavailable.
    """
    named = body.parameter_format == "named"
    _check(body.components, named=named)
    async with works() as work:
        numbers = NumberService(work)
        number = await numbers.get(body.number_id)
        account, gateway = numbers.account(number), work.port(WhatsAppGateway)
        template_id = (await _intend(work, number.waba_id, body)).id
    definition: dict[str, Any] = {
        "name": body.name,
        "language": body.language,
        "category": body.category.upper(),
        "components": body.components,
    }
    if named:
        definition["parameter_format"] = "NAMED"
    try:
        vendor_id, status, category = await gateway.create_template(account, definition)
    except GatewayOutcomeUnknown:
        async with works() as work:
            work.enqueue(SYNC, {"waba_id": account.waba_id})
            return await TemplateService(work).get(template_id)
    except GatewayFailure as failure:
        async with works() as work:
            row = await TemplateService(work).get(template_id, lock=True)
            if row.status == SUBMITTING:
                row.status, row.deleted_at, row.reason = "failed", now(), failure.reason
        raise problem_of(failure, account) from failure
    async with works() as work:
        row = await TemplateService(work).get(template_id, lock=True)
        # Its review may have ended, and been told, before this.
        if row.status == SUBMITTING:
            row.vendor_id, row.status, row.category = vendor_id, status, category
        work.record("template.submitted", "template", row.id, name=row.name, status=row.status)
        return row


async def edit(works: WorkFactory, template_id: UUID, body: TemplateUpdate) -> MessageTemplate:
    """Change a template, which is reviewed again.

    Raises TemplateNotFound, TemplateNotSubmitted, TemplateInvalid, NumberNotFound,
    WhatsAppRefused, WhatsAppUnavailable, WhatsAppUncertain.
    """
    async with works() as work:
        row = await TemplateService(work).get(template_id)
        if row.vendor_id is None or row.deleted_at is not None:
            raise TemplateNotSubmitted()
        vendor_id = row.vendor_id
        definition: dict[str, Any] = {"components": body.components or row.components}
        if body.category is not None:
            definition["category"] = body.category.upper()
        _check(definition["components"], named=row.parameter_format == "named")
        account = await NumberService(work).account_of_waba(row.waba_id)
        gateway = work.port(WhatsAppGateway)
    try:
        await gateway.edit_template(account, vendor_id, definition)
    except GatewayFailure as failure:
        if isinstance(failure, GatewayOutcomeUnknown):
            async with works() as work:
                work.enqueue(SYNC, {"waba_id": account.waba_id})
        raise problem_of(failure, account) from failure
    async with works() as work:
        row = await TemplateService(work).get(template_id, lock=True)
        row.components = definition["components"]
        row.category = body.category or row.category
        row.status, row.reason = "pending", None
        # What a fast review has said meanwhile is read from the vendor itself.
        work.enqueue(SYNC, {"waba_id": account.waba_id})
        work.record("template.edited", "template", row.id, changed=sorted(body.model_fields_set))
        return row


async def delete(works: WorkFactory, template_id: UUID) -> None:
    """Delete a template at the vendor; the row stays for what refers to it.

    Raises TemplateNotFound, NumberNotFound, WhatsAppRefused, WhatsAppUnavailable,
    WhatsAppUncertain.
    """
    async with works() as work:
        row = await TemplateService(work).get(template_id)
        if row.deleted_at is not None:
            return
        name, vendor_id = row.name, row.vendor_id
        account = await NumberService(work).account_of_waba(row.waba_id)
        gateway = work.port(WhatsAppGateway)
    if vendor_id is None:
        raise TemplateNotSubmitted()
    try:
        await gateway.delete_template(account, name, vendor_id)
    except GatewayFailure as failure:
        raise problem_of(failure, account) from failure
    async with works() as work:
        row = await TemplateService(work).get(template_id, lock=True)
        row.status, row.deleted_at = "deleted", now()
        work.record("template.deleted", "template", row.id, name=row.name)


async def _intend(work: UnitOfWork, waba_id: str, body: TemplateCreate) -> MessageTemplate:
    """A row that says what is being handed in; one that is gone is taken up again."""
    templates = TemplateService(work).templates
    row = await templates.named(waba_id, body.name, body.language, lock=True)
    if row is not None and row.deleted_at is None:
        raise TemplateExists()
    if row is None:
        row = MessageTemplate(
            id=new_id(), created_at=now(), waba_id=waba_id, name=body.name, language=body.language
        )
        work.session.add(row)
    row.category, row.parameter_format = body.category, body.parameter_format
    row.components, row.status, row.quality = body.components, SUBMITTING, "unknown"
    row.vendor_id = row.reason = row.deleted_at = None
    await templates.flush()
    return row


def _check(components: list[Mapping[str, Any]] | list[dict[str, Any]], *, named: bool) -> None:
    found = rules.definition_faults(components, named)
    if found:
        raise TemplateInvalid(errors=found)
