"""What can go wrong with stores."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class StoreNotFound(NotFound):
    code = "store-not-found"
    title = "There is no such store: take its id or slug from the list of stores."


class StoreSlugTaken(Conflict):
    code = "store-slug-taken"
    title = "Another store has this slug: choose a different one, or leave it out."


class StoreInUse(Conflict):
    code = "store-in-use"
    title = "The store has orders, which keep it: deactivate it (is_active false) instead."


class StoreMediaUnknown(Invalid):
    code = "store-media-unknown"
    title = "There is no such file: upload the image first and send the id it was given."
