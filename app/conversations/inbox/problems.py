"""What can go wrong with conversations."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class ConversationNotFound(NotFound):
    code = "conversation-not-found"
    title = "There is no such conversation."


class ConversationVersionConflict(Conflict):
    code = "conversation-version-conflict"
    title = "Somebody else changed the conversation meanwhile: read it again, then decide."


class ConversationNotLive(Conflict):
    code = "conversation-not-live"
    title = "The conversation is closed: open it again first."


class ConversationLiveAlready(Conflict):
    code = "conversation-live-already"
    title = "This contact and number already have another conversation going: use that one."


class AgentNotFound(NotFound):
    code = "agent-not-found"
    title = "There is no such active member of the team."


class WhatsAppNumberMissing(NotFound):
    code = "conversation-number-not-found"
    title = "There is no such WhatsApp number."


class CannedReplyNotFound(NotFound):
    code = "canned-reply-not-found"
    title = "There is no such canned reply."


class CannedShortcutTaken(Conflict):
    code = "canned-shortcut-taken"
    title = "Another canned reply has this shortcut: choose another one."
