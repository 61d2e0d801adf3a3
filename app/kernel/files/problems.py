"""What can go wrong with uploads."""

from __future__ import annotations

from http import HTTPStatus

from app.core.problems import MalformedRequest, NotFound, Problem, TooLarge


class FileNotFound(NotFound):
    code = "file-not-found"
    title = "There is no such file."


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


class FileTooLarge(TooLarge):
    code = "file-too-large"
    title = "The file is too large: images up to 5 MB, videos and documents up to 20 MB."
