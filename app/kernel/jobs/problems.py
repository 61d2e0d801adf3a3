"""What can go wrong when looking after jobs."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class JobNotFound(NotFound):
    code = "job-not-found"
    title = "There is no such job: it may have finished."


class JobNotHeld(Conflict):
    code = "job-not-held"
    title = "Only a held job can be retried; this one is waiting or running already."
