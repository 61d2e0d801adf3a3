"""What can go wrong with working in a member's name."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class ImpersonationNotFound(NotFound):
    code = "impersonation-not-found"
    title = "There is no such impersonation in this tenant."


class UserInactive(Conflict):
    code = "user-inactive"
    title = "This user is deactivated: choose an active one, or reactivate them first."
