"""What can go wrong with media of conversations."""

from __future__ import annotations

from http import HTTPStatus

from app.core.problems import Conflict, Gone, Invalid, MalformedRequest, NotFound, Problem, TooLarge


class MediaNotFound(NotFound):
    code = "message-media-not-found"
    title = "This message has no medium."


class MediaNotRetryable(Conflict):
    code = "message-media-not-retryable"
    title = "The medium is here already, or on its way: there is nothing to try again."


class MediaGone(Gone):
    code = "message-media-gone"
    title = "WhatsApp keeps media for seven days only: ask the contact to send it again."


class UploadNotFound(NotFound):
    code = "message-upload-not-found"
    title = "There is no such upload: send the file again."


class UploadKindDiffers(Invalid):
    code = "message-upload-kind-differs"
    title = "The file was uploaded as another type: send the message with the type in expected."


class UploadMissing(MalformedRequest):
    code = "message-upload-missing"
    title = "Send multipart/form-data with one part named file."


class UploadUnsupported(Problem):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "message-upload-unsupported"
    title = "WhatsApp does not take such a file as this type: allowed lists what it takes."


class UploadTooLarge(TooLarge):
    code = "message-upload-too-large"
    title = "WhatsApp does not take a file of this size as this type: send one within max_bytes."


class HeaderNotPossible(Conflict):
    code = "message-upload-no-header"
    title = "A template's header shows an image, a video or a document: upload one as that type."
