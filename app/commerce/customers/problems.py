"""What can go wrong with customers beyond what contacts declare."""

from __future__ import annotations

from app.core.problems import NotFound


class AddressNotFound(NotFound):
    code = "address-not-found"
    title = "This customer has no such address."
