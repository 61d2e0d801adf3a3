"""What can go wrong with sending."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class MessageNotFound(NotFound):
    code = "message-not-found"
    title = "There is no such message."


class WindowClosed(Conflict):
    code = "conversation-window-closed"
    title = "The contact last wrote more than 24 hours ago: send one of these templates instead."


class ConsentMissing(Conflict):
    code = "consent-missing"
    title = "The contact may not be written to about this; see reason."


class NumberInactive(Conflict):
    code = "whatsapp-number-inactive"
    title = "This number is switched off: switch it on, or write from another one."


class ReplyTargetUnknown(Conflict):
    code = "reply-target-unknown"
    title = "The message it refers to has no WhatsApp id in this conversation."


class MessageNotCancellable(Conflict):
    code = "message-not-cancellable"
    title = "Only a message that still waits can be cancelled."


class MessageNotUndecided(Conflict):
    code = "message-not-undecided"
    title = "Only a message whose sending is unknown can be resent or given up."
