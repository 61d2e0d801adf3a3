"""What WhatsApp's media may be: sizes, types by first bytes, hashes, states; no I/O.

Sizes: Cloud API, "supported media types": image 5 MB, audio and video 16 MB, document 100 MB,
sticker 100 KB still and 500 KB moving.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from app.kernel.files.rules import BY_EXTENSION, Kind

FETCH = "conversations.media.fetch"
CLEAN = "conversations.media.clean"

READERS = "conversations.messages:read"
"""Who finds the files of chats among the tenant's files."""

MediaKind = Literal["image", "video", "audio", "document", "sticker"]
State = Literal["pending", "ready", "failed", "too_large", "expired", "invalid"]

COPY_LIFE = timedelta(days=29)
"""An upload lives thirty days at the vendor; a day for a message that waits."""
MOST_LINKS = 3
"""An address ends after five minutes, or at once: so many are asked for in one try."""
FORGOTTEN_AFTER = timedelta(hours=2)
"""What is pending for longer has lost its job: the longest wait between tries is an hour."""

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sort:
    """What one type of message carries."""

    most_bytes: int
    extensions: tuple[str, ...]

    def kinds(self) -> list[Kind]:
        return [BY_EXTENSION[name] for name in self.extensions]


SORTS: dict[str, Sort] = {
    "image": Sort(5 * _MB, ("jpg", "png")),
    "video": Sort(16 * _MB, ("3gp", "mp4")),
    "audio": Sort(16 * _MB, ("ogg", "amr", "m4a", "aac", "mp3")),
    "document": Sort(100 * _MB, ("pdf", "bin")),
    "sticker": Sort(500 * 1024, ("webp",)),
}

_OFFICE = "application/vnd.openxmlformats-officedocument"
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DOCUMENTS: dict[str, tuple[str, bytes]] = {
    "pdf": ("application/pdf", b"%PDF-"),
    "docx": (f"{_OFFICE}.wordprocessingml.document", _ZIP),
    "xlsx": (f"{_OFFICE}.spreadsheetml.sheet", _ZIP),
    "pptx": (f"{_OFFICE}.presentationml.presentation", _ZIP),
    "doc": ("application/msword", _OLE),
    "xls": ("application/vnd.ms-excel", _OLE),
    "ppt": ("application/vnd.ms-powerpoint", _OLE),
    "txt": ("text/plain", b""),
}
"""Documents that the vendor takes: by extension the type, and how such a file begins."""


def found_kind(sort: str, head: bytes, media_type: str | None) -> Kind | None:
    """What a medium is by its first bytes; None when no medium of that sort begins so.

    A sticker is kept as it came, as it moves and the vendor is strict about its size; a document
    that is no PDF is bytes that no browser shows, whatever its sender calls it.
    """
    wanted = SORTS[sort]
    found = next((kind for kind in wanted.kinds() if kind.matches(head)), None)
    if found is None:
        return None
    if (media_type or "").startswith("application/pdf") and found.extension != "pdf":
        return None
    return replace(found, max_bytes=wanted.most_bytes, is_image=sort == "image")


def sendable_type(sort: str, kind: Kind, name: str, head: bytes) -> str | None:
    """The type by which an upload is sent; None when the vendor would refuse it."""
    if sort != "document":
        # Of Ogg the vendor takes Opus alone.
        return None if kind.extension == "ogg" and b"OpusHead" not in head else kind.media_type
    media_type, begins = DOCUMENTS.get(name.rpartition(".")[2].lower(), ("", b""))
    if not media_type or not head.startswith(begins):
        return None
    return None if media_type == "text/plain" and b"\0" in head else media_type


def allowed(sort: str) -> list[str]:
    """The types that may be sent as a sort, for people."""
    if sort == "document":
        return [media_type for media_type, _ in DOCUMENTS.values()]
    return [kind.media_type for kind in SORTS[sort].kinds()]


def is_hash(claimed: str | None, digest: bytes) -> bool | None:
    """Whether ``digest`` (SHA-256) is what was claimed, in hex or base64; None: nothing readable
    was claimed."""
    said = (claimed or "").strip()
    try:
        told = bytes.fromhex(said) if len(said) == 64 else base64.b64decode(said, validate=True)
    except (ValueError, binascii.Error):
        return None
    return told == digest if len(told) == len(digest) else None


REASONS = {
    "storage-full": "O armazenamento do plano está cheio: apague arquivos ou mude de plano e tente "
    "de novo.",
    "hash-mismatch": "O arquivo chegou diferente do que o WhatsApp anunciou: tente de novo.",
    "wrong-type": "O conteúdo não é do tipo anunciado: peça ao contato que envie de outra forma.",
    "unreadable": "A imagem está danificada: peça ao contato que envie de novo.",
    "too-large": "O arquivo passa do tamanho que o WhatsApp permite para este tipo.",
    "gone": "O WhatsApp guarda mídias por sete dias: peça ao contato que envie de novo.",
    "token-refused": "O WhatsApp recusou o token do número: troque o token e tente de novo.",
    "number-inactive": "O número está desligado: ligue o número e tente de novo.",
    "foreign-host": "O endereço do arquivo não é do WhatsApp e não foi chamado.",
    "refused": "O WhatsApp recusou a entrega do arquivo: tente de novo mais tarde.",
    "unavailable": "O WhatsApp não entregou o arquivo em várias tentativas: tente de novo.",
    "retention": "O arquivo passou do prazo de guarda e foi apagado.",
    "lost": "O arquivo não está mais no armazenamento: tente de novo enquanto o WhatsApp o tem.",
}
"""What a person reads, and does, about each reason."""
