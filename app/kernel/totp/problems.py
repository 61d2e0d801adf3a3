"""What can go wrong with the second factor."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, NotFound


class TotpAlreadyOn(Conflict):
    code = "totp-already-on"
    title = "The second factor is on already: switch it off first to set up another device."


class TotpNotOffered(Conflict):
    code = "totp-not-offered"
    title = "There is nothing to confirm: begin with POST /auth/totp."


class TotpNotOn(NotFound):
    code = "totp-not-on"
    title = "This user has no second factor."


class CodeRefused(Forbidden):
    code = "code-refused"
    title = "This code is wrong, expired or was used: enter the one your app shows now."
