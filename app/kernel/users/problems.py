"""What can go wrong when managing the people of a tenant."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, NotFound


class UserNotFound(NotFound):
    code = "user-not-found"
    title = "There is no such user."


class EmailTaken(Conflict):
    code = "email-taken"
    title = "Another user of this tenant has this e-mail: use another one, or edit that user."


class LastOwner(Conflict):
    code = "last-owner"
    title = "This is the last active owner: make somebody else an owner first."


class RoleAboveYours(Forbidden):
    code = "role-above-yours"
    title = "You may not give a role above your own, nor change who has one: ask an owner."
