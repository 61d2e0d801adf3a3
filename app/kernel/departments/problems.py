"""What can go wrong with departments."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class DepartmentNotFound(NotFound):
    code = "department-not-found"
    title = "There is no such department."


class DepartmentNameTaken(Conflict):
    code = "department-name-taken"
    title = "Another department has this name: choose another one."
