"""What can go wrong with the people a tenant deals with."""

from __future__ import annotations

from app.core.problems import Conflict, Gone, Invalid, NotFound


class ContactNotFound(NotFound):
    code = "contact-not-found"
    title = "There is no such contact."


class ContactMerged(Gone):
    code = "contact-merged"
    title = "This contact was merged into another one: open the one named by id."


class ContactExists(Conflict):
    code = "contact-exists"
    title = "This phone number belongs to a contact already: open the one named by id."


class ContactInUse(Conflict):
    code = "contact-in-use"
    title = "This contact has orders or other records: block or merge it instead."


class IdentityTaken(Conflict):
    code = "identity-taken"
    title = "This belongs to another contact: open the one named by id, or merge the two."


class IdentityNotFound(NotFound):
    code = "identity-not-found"
    title = "This contact has no such identity."


class NoteNotFound(NotFound):
    code = "note-not-found"
    title = "This contact has no such note."


class ContactPhoneInvalid(Invalid):
    code = "contact-phone-invalid"
    title = "The phone number is not valid: send it with area code, e.g. (11) 98765-4321."
