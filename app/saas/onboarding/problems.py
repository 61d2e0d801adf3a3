"""What can go wrong when an organization begins."""

from __future__ import annotations

from app.core.problems import Conflict, TooMany


class TenantHasUsers(Conflict):
    code = "tenant-has-users"
    title = "This organization has its first user already: log in, or ask for an invitation."


class TooManySignups(TooMany):
    code = "too-many-signups"
    title = "Too many new organizations from here: wait for the seconds in Retry-After."
