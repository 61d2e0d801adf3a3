"""What can go wrong when inviting somebody."""

from __future__ import annotations

from app.core.problems import Conflict, Gone, NotFound, TooMany


class InvitationNotFound(NotFound):
    code = "invitation-not-found"
    title = "There is no such invitation."


class InvitationPending(Conflict):
    code = "invitation-pending"
    title = "This e-mail has been invited already: send that invitation again, or revoke it."


class InvitationEnded(Conflict):
    code = "invitation-ended"
    title = "This invitation was accepted or revoked already: nothing was changed."


class InvitationNotValid(Gone):
    code = "invitation-not-valid"
    title = "This invitation was used, replaced, revoked or has expired: ask for a new one."


class TooManyInvitations(TooMany):
    code = "too-many-invitations"
    title = "Too many letters: wait for the seconds in Retry-After, then try again."
