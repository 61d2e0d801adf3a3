"""What can go wrong when contacts come from a file."""

from __future__ import annotations

from app.core.problems import Invalid


class ContactsUnreadable(Invalid):
    code = "contacts-unreadable"
    title = "The file cannot be read as contacts: the detail says why."
