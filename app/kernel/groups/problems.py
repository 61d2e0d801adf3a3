"""What can go wrong with groups."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, NotFound


class GroupNotFound(NotFound):
    code = "group-not-found"
    title = "There is no such group."


class GroupNameTaken(Conflict):
    code = "group-name-taken"
    title = "Another group has this name: choose another one."


class GrantBeyondYours(Forbidden):
    code = "grant-beyond-yours"
    title = "A group may only be given what you may do yourself."
