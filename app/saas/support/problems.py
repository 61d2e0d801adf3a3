"""What the platform may not do inside a tenant."""

from __future__ import annotations

from app.core.problems import Conflict


class PlatformNotImpersonable(Conflict):
    code = "platform-not-impersonable"
    title = "Nobody works in the name of the platform's own people: log in as yourself."


class TenantNotActive(Conflict):
    code = "tenant-not-active"
    title = "This tenant is suspended and answers nobody: reactivate it first."
