"""Why a provider's delivery is refused, and what cannot be replayed."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, MalformedRequest, NotFound, Unauthenticated


class WebhookNotConfigured(NotFound):
    code = "webhook-not-configured"
    title = "Nobody may deliver here: this webhook's secret is not configured."


class WebhookSignatureInvalid(Unauthenticated):
    code = "webhook-signature-invalid"
    title = "The delivery is not signed with a known secret, or its timestamp is too old or ahead."


class WebhookBodyInvalid(MalformedRequest):
    code = "webhook-body-invalid"
    title = "The delivery is signed, but it is not a notice that this webhook understands."


class WebhookWrongMode(Forbidden):
    code = "webhook-wrong-mode"
    title = "Test notices are refused in live operation, and live ones in test operation."


class WebhookReplayed(Conflict):
    code = "webhook-replayed"
    title = "This notice was received before: it acts once, there is nothing to repeat."


class InboxMessageNotFound(NotFound):
    code = "inbox-message-not-found"
    title = "There is no received notice with this id."


class InboxMessageNotReplayable(Conflict):
    code = "inbox-message-not-replayable"
    title = "Only dead and unclaimed notices can be replayed: this one waits or is done."


class InboxTenantUnknown(Conflict):
    code = "inbox-tenant-unknown"
    title = "The notice still names no tenant of ours: correct that first, then replay it."
