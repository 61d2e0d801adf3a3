"""What can go wrong with notices to a tenant's own people."""

from __future__ import annotations

from http import HTTPStatus

from app.core.problems import Conflict, NotFound, Problem


class NoticeNotFound(NotFound):
    code = "notice-not-found"
    title = "You have no such notice: see GET /api/v1/user/notices."


class NoticeDeviceNotFound(NotFound):
    code = "notice-device-not-found"
    title = "You have no such device: see GET /api/v1/user/notices/devices."


class TelegramNotLinked(NotFound):
    code = "telegram-not-linked"
    title = "You have linked no Telegram chat."


class TelegramNotConnected(Conflict):
    code = "telegram-not-connected"
    title = "The shop has no Telegram bot yet: connect one under /api/v1/admin/connections."


class UnknownNoticeKind(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "unknown-notice-kind"
    title = "You are not told of this: choose from known."


class PushEndpointRefused(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "push-endpoint-refused"
    title = "This is no push subscription of a browser: send what PushManager.subscribe() gave."
