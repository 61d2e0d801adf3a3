"""A sample for a template's header: a resumable upload session at the vendor, and its handle.

Source: Graph API, "Resumable Upload API": a session is made with the file's size, its bytes go
up in one request with ``file_offset``; after a break the session says how far it got.
"""

from __future__ import annotations

from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure, GatewayRefused
from app.conversations.media.problems import HeaderNotPossible
from app.conversations.media.schemas import TemplateHandle
from app.conversations.media.uploads import Uncopied, UploadService, bytes_of
from app.conversations.numbers.problems import problem_of
from app.conversations.numbers.service import NumberService
from app.kernel.work import Runtime, WorkFactory

_TRIES = 3
_FORMATS = ("image", "video", "document")


async def make_handle(
    runtime: Runtime, works: WorkFactory, upload_id: UUID, number_id: UUID
) -> TemplateHandle:
    """The handle of an upload for ``example.header_handle``.

    Raises UploadNotFound, HeaderNotPossible, NumberNotFound, WhatsAppRefused,
    WhatsAppUnavailable, WhatsAppUncertain.
    """
    async with works() as work:
        uploads = UploadService(work)
        upload = await uploads.get(upload_id)
        if upload.kind not in _FORMATS:
            raise HeaderNotPossible()
        numbers = NumberService(work)
        account = numbers.account(await numbers.get(number_id))
        sample = await uploads.sample(upload_id, number_id, account)
    try:
        handle = await _sent(runtime, sample)
    except GatewayFailure as failure:
        raise problem_of(failure, account) from failure
    return TemplateHandle(handle=handle, format=upload.kind.upper())


async def _sent(runtime: Runtime, sample: Uncopied) -> str:
    gateway, account = sample.gateway, sample.account
    async with bytes_of(runtime, sample.key, sample.size) as source:
        session = await gateway.upload_session(
            account, name=sample.name, media_type=sample.media_type, size=sample.size
        )
        offset = 0
        for left in reversed(range(_TRIES)):
            source.seek(offset)
            try:
                return await gateway.upload_sample(account, session, source.read(), offset)
            except GatewayRefused:
                raise
            except GatewayFailure:
                if not left:
                    raise
                offset = await gateway.upload_offset(account, session)
    raise AssertionError("the last try returns or raises")
