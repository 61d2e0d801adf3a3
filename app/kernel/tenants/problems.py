"""What can go wrong with a tenant as the central console sees it."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class TenantNotFound(NotFound):
    code = "tenant-not-found"
    title = "There is no tenant with this id."


class OrganizationSlugTaken(Conflict):
    code = "organization-slug-taken"
    title = "Another organization has this name in its address: choose a different slug."


class HostTaken(Conflict):
    code = "host-taken"
    title = "Another tenant is reached at this host: take it off there first."
