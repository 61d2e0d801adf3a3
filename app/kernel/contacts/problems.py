"""What can go wrong with the people a tenant deals with."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class ContactNotFound(NotFound):
    code = "contact-not-found"
    title = "There is no such contact."


class ContactExists(Conflict):
    code = "contact-exists"
    title = "This phone number belongs to a contact already: open the one named by id."


class ContactPhoneInvalid(Invalid):
    code = "contact-phone-invalid"
    title = "The phone number is not valid: send it with area code, e.g. (11) 98765-4321."
