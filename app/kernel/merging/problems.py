"""What can go wrong when two contacts become one, or two again."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class MergeNotFound(NotFound):
    code = "merge-not-found"
    title = "This contact has no such merge."


class MergeIntoItself(Conflict):
    code = "merge-into-itself"
    title = "These two are the same contact already."


class MergeUndone(Conflict):
    code = "merge-undone"
    title = "This merge was undone already."


class MergeCovered(Conflict):
    code = "merge-covered"
    title = "Who stayed has itself been merged since: undo that merge first, it is named by id."
