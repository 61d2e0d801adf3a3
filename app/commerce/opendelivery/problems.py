"""What can go wrong with Open Delivery; the standard's error is a problem with title and status."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound, Unauthenticated


class CredentialNotFound(NotFound):
    code = "open-delivery-credential-not-found"
    title = "There is no such Open Delivery credential."


class TooManyCredentials(Conflict):
    code = "too-many-open-delivery-credentials"
    title = "So many credentials are alive already: revoke one that is no longer used."


class ClientRefused(Unauthenticated):
    code = "open-delivery-client-refused"
    title = "client_id and client_secret open nothing here: they are wrong, or were revoked."

    def __init__(self) -> None:
        super().__init__(error="invalid_client")  # RFC 6749 §5.2, for those who read it


class TokenRequired(Conflict):
    code = "open-delivery-token-required"
    title = "Ask with a token of /open-delivery/oauth/token: events belong to its credential."


class MoveRefused(Invalid):
    code = "open-delivery-move-refused"
    title = "The order is not where this can be done: read it again for where it is."


class CancellationRefused(Invalid):
    code = "open-delivery-cancellation-refused"
    title = "The order was handed over already: it cannot be cancelled any more."
