"""HTTP for notices: one's own, how one is told, one's devices; and the tenant's ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module, tenant_member
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.identity import Identity
from app.kernel.notifications.delivery import NoticeDeliveryService
from app.kernel.notifications.models import Notice, PushSubscription
from app.kernel.notifications.problems import (
    NoticeDeviceNotFound,
    NoticeNotFound,
    PushEndpointRefused,
    TelegramNotConnected,
    TelegramNotLinked,
    UnknownNoticeKind,
)
from app.kernel.notifications.schemas import (
    DeliveryState,
    DeviceCreate,
    DeviceRead,
    NoticeDeliveryRead,
    NoticeRead,
    NoticesReadRead,
    OutsideChannel,
    PreferencesPut,
    PreferencesRead,
    PushKeyRead,
    TelegramPut,
    TelegramRead,
    UnreadRead,
)
from app.kernel.notifications.service import (
    NoticeService,
    PreferencesView,
    ReachService,
    web_push_key,
)
from app.kernel.work import runtime_of, service

router = APIRouter(prefix="/api/v1/user/notices", tags=["notices"], route_class=ReplayableRoute)
admin_router = APIRouter(prefix="/api/v1/admin/notice-deliveries", tags=["notices"])
Notices = Annotated[NoticeService, service(NoticeService)]
Reach = Annotated[ReachService, service(ReachService)]
Deliveries = Annotated[NoticeDeliveryService, service(NoticeDeliveryService)]


async def _me(request: Request) -> Identity:
    who: Identity = request.scope["meta"].identity
    return who


Me = Annotated[Identity, Depends(_me)]


@router.get("", dependencies=[tenant_member()])
async def list_own_notices(
    who: Me, notices: Notices, page: Paging, unread: bool = False
) -> PageRead[NoticeRead]:
    """What one was told, newest first; live on the `notices` topic of `/events`."""
    found = await notices.own(who, page, unread=unread)
    return PageRead[NoticeRead].model_validate(found)


@router.get("/unread", dependencies=[tenant_member()])
async def count_unread_notices(who: Me, notices: Notices) -> UnreadRead:
    """How many one has not read, for a badge."""
    return UnreadRead(count=await notices.unread(who))


@router.post("/read-all", dependencies=[tenant_member()])
async def read_all_notices(who: Me, notices: Notices) -> NoticesReadRead:
    """Mark everything as read."""
    return NoticesReadRead(changed=await notices.read_all(who))


@router.post(
    "/test",
    status_code=202,
    response_model=NoticeRead,
    dependencies=[tenant_member(), Idempotent],
)
async def test_own_notices(who: Me, deliveries: Deliveries) -> Notice:
    """Tell oneself something by every channel that is ready."""
    return await deliveries.test(who)


@router.get("/preferences", response_model=PreferencesRead, dependencies=[tenant_member()])
async def read_notice_preferences(who: Me, reach: Reach) -> PreferencesView:
    """What one is told of by which channel: a matrix of kinds and channels."""
    return await reach.matrix(who)


@router.put(
    "/preferences",
    response_model=PreferencesRead,
    dependencies=[tenant_member()],
    responses=problems(UnknownNoticeKind),
)
async def put_notice_preferences(who: Me, body: PreferencesPut, reach: Reach) -> PreferencesView:
    """Replace one's choices; what is not named goes back to its default."""
    return await reach.choose(who, body)


@router.get("/push-key", dependencies=[tenant_member()])
async def read_push_key(request: Request) -> PushKeyRead:
    """The key with which a browser subscribes (VAPID, RFC 8292)."""
    return PushKeyRead(public_key=(await web_push_key(runtime_of(request))).public)


@router.get("/devices", response_model=list[DeviceRead], dependencies=[tenant_member()])
async def list_own_devices(who: Me, reach: Reach) -> Sequence[PushSubscription]:
    """One's browsers that web push wakes, newest first; at most 20."""
    return await reach.own_devices(who)


@router.post(
    "/devices",
    status_code=201,
    response_model=DeviceRead,
    dependencies=[tenant_member()],
    responses=problems(PushEndpointRefused),
)
async def subscribe_device(who: Me, body: DeviceCreate, reach: Reach) -> PushSubscription:
    """Wake this browser from now on; the same subscription again is the same device."""
    return await reach.subscribe(who, body)


@router.delete(
    "/devices/{device_id}",
    status_code=204,
    dependencies=[tenant_member()],
    responses=problems(NoticeDeviceNotFound),
)
async def unsubscribe_device(who: Me, device_id: UUID, reach: Reach) -> None:
    """Leave this browser alone."""
    await reach.unsubscribe(who, device_id)


@router.put("/telegram", dependencies=[tenant_member()], responses=problems(TelegramNotConnected))
async def link_telegram(who: Me, body: TelegramPut, reach: Reach) -> TelegramRead:
    """Be told in this Telegram chat, too, by the shop's bot."""
    await reach.link_telegram(who, body.chat_id)
    return TelegramRead(chat_id=body.chat_id)


@router.delete(
    "/telegram",
    status_code=204,
    dependencies=[tenant_member()],
    responses=problems(TelegramNotLinked),
)
async def unlink_telegram(who: Me, reach: Reach) -> None:
    """Be told in no Telegram chat any more."""
    await reach.unlink_telegram(who)


@router.post(
    "/{notice_id}/read",
    response_model=NoticeRead,
    dependencies=[tenant_member()],
    responses=problems(NoticeNotFound),
)
async def read_notice(who: Me, notice_id: UUID, notices: Notices) -> Notice:
    """Mark one as read; again changes nothing."""
    return await notices.read(who, notice_id)


@admin_router.get("", dependencies=[require_module("platform", "notices:read")])
async def list_notice_deliveries(
    notices: Notices,
    page: Paging,
    state: DeliveryState | None = None,
    channel: OutsideChannel | None = None,
) -> PageRead[NoticeDeliveryRead]:
    """What was sent out to the tenant's people and how each ended, newest first."""
    found = await notices.ledger(page, state=state, channel=channel)
    return PageRead[NoticeDeliveryRead].model_validate(found)
