"""What a person reads of a message, in Portuguese where the vendor sends no words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

_LABELS = {
    "image": "Imagem",
    "video": "Vídeo",
    "sticker": "Figurinha",
    "audio": "Áudio",
    "document": "Documento",
    "location": "Localização",
    "contacts": "Contato",
    "interactive": "Resposta",
    "button": "Botão",
    "reaction": "Reação retirada",
    "order": "Pedido",
    "system": "Aviso do WhatsApp",
    "edit": "Mensagem editada",
    "revoke": "Mensagem apagada",
}
UNSUPPORTED = "Mensagem não suportada"


def said(kind: str, raw: Json) -> str | None:
    """The words of a message: its own, else what it is."""
    if kind == "text":
        return _field(raw, "text", "body")
    part = raw.get(kind)
    read = _READERS.get(kind)
    found = read(part) if read is not None and part else None
    return found or _LABELS.get(kind, UNSUPPORTED)


def _field(holder: Any, *path: str) -> str | None:
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder if isinstance(holder, str) and holder else None


def _caption(part: Any) -> str | None:
    return _field(part, "caption")


def _document(part: Any) -> str | None:
    return _field(part, "caption") or _field(part, "filename")


def _audio(part: Any) -> str | None:
    return "Mensagem de voz" if isinstance(part, dict) and part.get("voice") is True else None


def _location(part: Any) -> str | None:
    return " — ".join(filter(None, (_field(part, "name"), _field(part, "address")))) or None


def _contacts(part: Any) -> str | None:
    found = [_field(c, "name", "formatted_name") for c in part] if isinstance(part, list) else []
    return ", ".join(filter(None, found)) or None


def _interactive(part: Any) -> str | None:
    for kind, field in (("button_reply", "title"), ("list_reply", "title"), ("nfm_reply", "body")):
        found = _field(part, kind, field)
        if found:
            return found
    return None


def _order(part: Any) -> str | None:
    items = part.get("product_items") if isinstance(part, dict) else None
    count = len(items) if isinstance(items, list) else 0
    words = f"Pedido com {count} {'item' if count == 1 else 'itens'}"
    return f"{words}: {text}" if (text := _field(part, "text")) else words


def _edit(part: Any) -> str | None:
    message = part.get("message") if isinstance(part, dict) else None
    if not isinstance(message, dict):
        return None
    kind = message.get("type")
    return said(kind, message) if isinstance(kind, str) and kind != "edit" else None


_READERS: dict[str, Callable[[Any], str | None]] = {
    "image": _caption,
    "video": _caption,
    "document": _document,
    "audio": _audio,
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "button": lambda part: _field(part, "text"),
    "reaction": lambda part: _field(part, "emoji"),
    "order": _order,
    "system": lambda part: _field(part, "body"),
    "edit": _edit,
}
