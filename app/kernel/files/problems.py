"""What can go wrong with uploads."""

from __future__ import annotations

from http import HTTPStatus

from app.core.problems import (
    Busy,
    Conflict,
    Gone,
    MalformedRequest,
    NotFound,
    Problem,
    TooLarge,
    Unavailable,
)


class FileNotFound(NotFound):
    code = "file-not-found"
    title = "There is no such file."


class FileLinkExpired(Gone):
    code = "file-link-expired"
    title = "This link to a private file has expired: ask for a new one."


class FileInUse(Conflict):
    code = "file-in-use"
    title = "The file is in use: take it off what is listed in used_by first."


class FileBusy(Busy):
    code = "file-busy"
    title = "The same file is being removed right now: send it again in a moment."


class StorageUnavailable(Unavailable):
    code = "storage-unavailable"
    title = "The file store does not answer: try again in a few seconds."


class RangeOutside(Problem):
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    code = "range-outside"
    title = "The file has no such bytes: ask for a range inside its size."


class NoFileSent(MalformedRequest):
    code = "no-file-sent"
    title = "Send multipart/form-data with one part named file."


class UnsupportedFile(Problem):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported-file"
    title = "Send a JPEG, PNG or WebP image, an MP4 or WebM video, or a PDF."


class FileTypeMismatch(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "file-type-mismatch"
    title = "The file's name or declared type says something else than its content: correct it."


class ImageUnreadable(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "image-unreadable"
    title = "The image is damaged or cut off: export it again and send that."


class ImageAnimated(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "image-animated"
    title = "Moving images are not taken: send a still image, or the animation as MP4 or WebM."


class FileTooLarge(TooLarge):
    code = "file-too-large"
    title = "The file is too large: images up to 5 MB, videos and documents up to 20 MB."


class ImageTooLarge(TooLarge):
    code = "image-too-large"
    title = "The image has too many pixels: send one of up to 40 megapixels."
