"""What a file is, by its first bytes; a table of six types beats a library (kernel-facts B.11)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

_MB = 1_000_000
LARGEST_BYTES = 20 * _MB
HEAD_BYTES = 64
"""How much of a file ``detect`` wants to see."""

_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V "}
)
THUMBNAIL_SIDES = (160, 480, 1024)
"""Longest sides, in pixels; each image has them all, none larger than the image itself."""
_KEY = re.compile(
    r"([tp])/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/[0-9a-f]{64}"
    r"(?:\.(jpg|png|webp|mp4|webm|pdf|ogg|mp3|m4a|aac|amr|3gp|bin)|-(?:160|480|1024)\.(webp))"
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type we accept."""

    extension: str
    media_type: str
    max_bytes: int
    matches: Callable[[bytes], bool]
    names: frozenset[str]
    """Extensions a file of this type may carry."""
    is_image: bool = False
    """Whether it is made anew before it is kept."""
    inline: bool = True
    """Whether a browser may show it in place; documents are downloaded."""


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_mp4(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


def _is_boxed(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _is_3gp(head: bytes) -> bool:
    return _is_boxed(head) and head[8:11] in (b"3gp", b"3g2")


def _is_mp3(head: bytes) -> bool:
    # A tag, or the sync word of MPEG audio of layer III.
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2)


def _is_aac(head: bytes) -> bool:
    return head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0


def _is_webm(head: bytes) -> bool:
    # EBML is Matroska's too; the document type tells them apart.
    return head[:4] == b"\x1aE\xdf\xa3" and b"webm" in head


KINDS = (
    Kind(
        "jpg",
        "image/jpeg",
        5 * _MB,
        lambda head: head[:3] == b"\xff\xd8\xff",
        frozenset({"jpg", "jpeg", "jpe"}),
        is_image=True,
    ),
    Kind(
        "png",
        "image/png",
        5 * _MB,
        lambda head: head[:16] == b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        frozenset({"png"}),
        is_image=True,
    ),
    Kind("webp", "image/webp", 5 * _MB, _is_webp, frozenset({"webp"}), is_image=True),
    Kind("mp4", "video/mp4", LARGEST_BYTES, _is_mp4, frozenset({"mp4", "m4v"})),
    Kind("webm", "video/webm", LARGEST_BYTES, _is_webm, frozenset({"webm"})),
    Kind(
        "pdf",
        "application/pdf",
        LARGEST_BYTES,
        lambda head: head[:5] == b"%PDF-",
        frozenset({"pdf"}),
        inline=False,
    ),
)

_CHAT_BYTES = 16 * _MB
CHAT_KINDS = (
    Kind("ogg", "audio/ogg", _CHAT_BYTES, lambda head: head[:4] == b"OggS", frozenset({"ogg"})),
    Kind("mp3", "audio/mpeg", _CHAT_BYTES, _is_mp3, frozenset({"mp3"})),
    Kind("m4a", "audio/mp4", _CHAT_BYTES, _is_boxed, frozenset({"m4a", "mp4"})),
    Kind("aac", "audio/aac", _CHAT_BYTES, _is_aac, frozenset({"aac"})),
    Kind("amr", "audio/amr", _CHAT_BYTES, lambda head: head[:5] == b"#!AMR", frozenset({"amr"})),
    Kind("3gp", "video/3gpp", _CHAT_BYTES, _is_3gp, frozenset({"3gp", "3gpp"})),
    Kind(
        "bin", "application/octet-stream", 100 * _MB, lambda head: True, frozenset(), inline=False
    ),
)
"""What people send each other besides: kept when a slice says so, never taken by the upload of
files. ``bin`` is any document that no browser may show, whatever its sender calls it."""
BY_EXTENSION = {kind.extension: kind for kind in (*KINDS, *CHAT_KINDS)}


def detect(head: bytes) -> Kind | None:
    """The type that the first ``HEAD_BYTES`` say; None for everything we do not take."""
    return next((kind for kind in KINDS if kind.matches(head)), None)


def agrees(kind: Kind, name: str, declared: str | None) -> bool:
    """Whether the file's name and its declared type tell of the same type as its bytes."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    said = (declared or "").partition(";")[0].strip().lower()
    untold = ("", "application/octet-stream")
    return extension in kind.names and (said in untold or said == kind.media_type)


def folder_of(tenant_id: UUID, *, is_public: bool) -> str:
    """Where a tenant's files are; private ones apart, as a public one needs only its hash."""
    return f"{'t' if is_public else 'p'}/{tenant_id}"


def key_of(tenant_id: UUID, sha256: str, extension: str, *, is_public: bool) -> str:
    """``t/{tenant}/{sha256}.{ext}``: the same content of one tenant is one file."""
    return f"{folder_of(tenant_id, is_public=is_public)}/{sha256}.{extension}"


def thumbnail_key(key: str, side: int) -> str:
    """Where the thumbnail of an image is: ``…/{sha256}-{side}.webp``."""
    return f"{key.rpartition('.')[0]}-{side}.webp"


@dataclass(frozen=True, slots=True)
class Place:
    """What a key we made says."""

    kind: Kind
    is_public: bool


def place_of_key(key: str) -> Place | None:
    """What a key tells; None for whatever else a path may say."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    return Place(BY_EXTENSION[found[2] or found[3]], found[1] == "t")


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    length: int


def asked_span(header: str, size: int) -> Span | None:
    """The one range that a Range header asks for; None: all of it, as for several ranges, which
    RFC 9110 §14.2 lets a server ignore. Raises ValueError when the range lies outside.
    """
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, last = max(size - int(found[2]), 0), size - 1
    else:
        start, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if found[1] and found[2] and int(found[2]) < start:
        return None
    if start > last:
        raise ValueError("outside")
    return Span(start, last - start + 1)


def clean_name(name: str) -> str:
    """The sender's name for the file, as it may be shown: no path, no control characters."""
    base = re.split(r"[/\\]", name)[-1]
    shown = "".join(c for c in base if c.isprintable()).strip()
    return shown[-200:] or "file"
