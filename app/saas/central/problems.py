"""What the central console refuses."""

from __future__ import annotations

from app.core.problems import Conflict


class PlatformNotSuspendable(Conflict):
    code = "platform-not-suspendable"
    title = "This is the platform's own tenant: suspended, nobody could reactivate it."
