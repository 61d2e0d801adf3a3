"""The lines of a contact's story, as people read them: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

_LINE = 200
_KINDS = {
    "audio": "áudio", "contacts": "contato", "document": "documento", "image": "imagem",
    "interactive": "opções", "location": "localização", "order": "pedido do catálogo",
    "sticker": "figurinha", "template": "modelo", "video": "vídeo",
}  # fmt: skip


def told_line(kind: str, text: str | None) -> str:
    """A message as one line of a contact's story."""
    words = " ".join((text or "").split())
    return words[:_LINE] if words else f"({_KINDS.get(kind, 'mensagem')})"


def given_line(user_id: UUID | None, names: Mapping[UUID, str]) -> str:
    """Whose a conversation became."""
    if user_id is None:
        return "Conversa sem responsável"
    return f"Conversa atribuída a {names.get(user_id, 'alguém que saiu da equipe')}"
