"""What can go wrong with connections."""

from __future__ import annotations

from app.core.problems import NotFound


class UnknownProvider(NotFound):
    code = "unknown-provider"
    title = "There is no such provider: see GET /api/v1/admin/connections for those there are."


class ConnectionNotFound(NotFound):
    code = "connection-not-found"
    title = "This provider is not connected."
