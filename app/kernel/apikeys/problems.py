"""What can go wrong with API keys."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, NotFound


class ApiKeyNotFound(NotFound):
    code = "api-key-not-found"
    title = "There is no such API key."


class ScopeBeyondYours(Forbidden):
    code = "scope-beyond-yours"
    title = "A key may only be given what you may do yourself, and never managing access."


class TooManyApiKeys(Conflict):
    code = "too-many-api-keys"
    title = "So many API keys are alive already: revoke one that is no longer used."
