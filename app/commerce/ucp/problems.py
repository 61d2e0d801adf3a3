"""How agents are refused before there is a checkout to tell them of; codes as UCP spells them."""

from __future__ import annotations

from http import HTTPStatus

from app.core.problems import Conflict, Invalid, NotFound, Problem, Unavailable


class UcpOff(NotFound):
    code = "ucp-off"
    title = "This shop takes no orders of software agents: use its storefront."


class UcpSessionNotFound(NotFound):
    code = "ucp-session-not-found"
    title = "There is no such checkout session: create one."


class UcpSessionEnded(Conflict):
    code = "ucp-session-ended"
    title = "The checkout session is completed or canceled: create another one."


class UcpKeyReused(Conflict):
    code = "ucp-idempotency-key-reused"
    title = "This Idempotency-Key was used for a different request: use a new key."


class InvalidProfileUrl(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "invalid_profile_url"
    title = 'Name your profile: UCP-Agent: profile="https://platform.example/.well-known/ucp".'


class ProfileUnreachable(Problem):
    status = HTTPStatus.FAILED_DEPENDENCY
    code = "profile_unreachable"
    title = "Your profile could not be fetched: it answers 200, without redirects, within seconds."


class ProfileMalformed(Invalid):
    code = "profile_malformed"
    title = "Your profile is no UCP profile: send version, services and payment_handlers."


class VersionUnsupported(Invalid):
    code = "version_unsupported"
    title = "This UCP version is not spoken here: see version in /.well-known/ucp."


class RequestTooLarge(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "request_too_large"
    title = "These are too many identifiers at once: send at most 50."


class TooManyProfiles(Unavailable):
    code = "ucp-discovery-busy"
    title = "You name too many unknown platforms: try again after the seconds in Retry-After."
