"""What can go wrong when logging in."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, NotFound, TooMany, Unauthenticated


class WrongCredentials(Unauthenticated):
    code = "wrong-credentials"
    title = "E-mail or password is wrong."


class TooManyLogins(TooMany):
    code = "too-many-logins"
    title = "Too many attempts: wait for the seconds in Retry-After, then try again."


class ChallengeRefused(Unauthenticated):
    code = "challenge-refused"
    title = "This login took too long or was overtaken: begin again with e-mail and password."


class SessionNotFound(NotFound):
    code = "session-not-found"
    title = "There is no such session of yours."


class RefreshRefused(Unauthenticated):
    code = "refresh-refused"
    title = "This refresh token was used, expired, or its session ended: log in again."


class WrongCurrentPassword(Forbidden):
    code = "wrong-current-password"
    title = "The current password is wrong: nothing was changed."


class TenantAmbiguous(Conflict):
    code = "tenant-ambiguous"
    title = "You work for more than one organization: say which one with X-Tenant (slug)."
