"""What can go wrong with tags and with the tenant's own facts of contacts."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class TagNotFound(NotFound):
    code = "tag-not-found"
    title = "There is no such tag."


class TagNameTaken(Conflict):
    code = "tag-name-taken"
    title = "There is a tag of this name: accents and case make no difference."


class AttributeNotFound(NotFound):
    code = "attribute-not-found"
    title = "There is no such attribute."


class AttributeKeyTaken(Conflict):
    code = "attribute-key-taken"
    title = "There is an attribute with this key: choose another one."


class AttributeInvalid(Invalid):
    code = "attribute-invalid"
    title = "An attribute does not fit its definition: correct the fields listed in errors."
