"""What can go wrong with a tenant as the central console sees it."""

from __future__ import annotations

from app.core.problems import NotFound


class TenantNotFound(NotFound):
    code = "tenant-not-found"
    title = "There is no tenant with this id."
