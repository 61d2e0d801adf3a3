"""What can go wrong with connections."""

from __future__ import annotations

from http import HTTPStatus

from app.core.problems import Conflict, Forbidden, NotFound, Problem, Upstream


class UnknownProvider(NotFound):
    code = "unknown-provider"
    title = "There is no such provider: see GET /api/v1/connections/providers for those there are."


class ConnectionNotFound(NotFound):
    code = "connection-not-found"
    title = "This provider is not connected."


class ConnectionNameTaken(Conflict):
    code = "connection-name-taken"
    title = "Another connection to this provider has that name: choose another."


class TooManyConnections(Conflict):
    code = "too-many-connections"
    title = "A tenant has at most 100 connections: delete one first."


class ConnectedByConsent(Conflict):
    code = "connected-by-consent"
    title = (
        "This provider takes no keys: POST /api/v1/connections/providers/{provider}/authorize "
        "and let a person consent."
    )


class TakesKeys(Conflict):
    code = "provider-takes-keys"
    title = "This provider is connected with its keys: POST /api/v1/connections."


class ProviderNotConfigured(Conflict):
    code = "provider-not-configured"
    title = "This installation is not registered with the provider: its operator sets the client."


class ConsentNeedsSession(Conflict):
    code = "consent-needs-session"
    title = "A consent comes back to a person's session: start it logged in."


class ConnectionDisabled(Conflict):
    code = "connection-disabled"
    title = "This connection is switched off: switch it on first."


class ConnectionExpired(Conflict):
    code = "connection-expired"
    title = "The provider ended the consent: connect the account again."


class ReturnRefused(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "return-address-refused"
    title = "A consent returns to a path of ours or to a listed origin (OAUTH_RETURN_ORIGINS)."


class ProviderUrlRefused(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "provider-url-refused"
    title = "This address cannot be called: give a public https:// address."


class OAuthStateInvalid(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "oauth-state-invalid"
    title = "This consent was used, is over, or belongs to another session: start again."


class ConsentDenied(Forbidden):
    code = "consent-denied"
    title = "The provider says that the consent was not given: start again and accept."


class ProviderFailed(Upstream):
    code = "provider-failed"
    title = "The provider did not do what was asked: see detail, then try again."
