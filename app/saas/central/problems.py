"""What the central console refuses."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid


class PlatformNotSuspendable(Conflict):
    code = "platform-not-suspendable"
    title = "This is the platform's own tenant: suspended, nobody could reactivate it."


class TenantNotDeletable(Conflict):
    code = "tenant-not-deletable"
    title = (
        "Only a suspended tenant can be deleted, and the platform's own never: suspend it first."
    )


class DeletionNotConfirmed(Invalid):
    code = "deletion-not-confirmed"
    title = "Confirm the deletion with the tenant's own slug: nothing was deleted."


class TenantStillCharged(Conflict):
    code = "tenant-still-charged"
    title = "The payment provider still charges this tenant: cancel its subscription first."
