"""The page that shows, live, what the sandbox received: pt-BR or English, no outside assets."""

from __future__ import annotations

import json
import secrets
from html import escape
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse

_TEXTS = {
    "pt-BR": {
        "title": "Caixa de areia dos provedores",
        "lead": "Tudo o que a aplicação enviou para fora chega aqui, e nada sai daqui.",
        "all": "Todos",
        "search": "Buscar telefone, texto, pedido…",
        "clear": "Limpar lista",
        "empty": "Nada recebido ainda. Faça um pedido e a mensagem aparece aqui.",
        "nothing": "Nada corresponde à busca.",
        "request": "Pedido recebido",
        "answer": "Resposta dada",
        "notices": "Avisos enviados à aplicação",
        "no_recipient": "sem destinatário",
        "offline": "Sem contato com a caixa de areia; tentando de novo.",
        "unknown": "Desconhecido",
        "attempts": "tentativas",
        "from": "Telefone do cliente",
        "number": "Id do número da loja",
        "message": "Escreva como cliente…",
        "send": "Enviar",
        "typed": "escrito pelo cliente",
        "accepted": "aceito",
        "refused": "recusado",
        "pending": "em andamento",
        "delivered": "entregue",
        "failed": "não entregue",
        "forced error": "erro provocado",
        "answer dropped": "resposta cortada",
        "no such vendor or path": "endereço desconhecido",
    },
    "en": {
        "title": "Provider sandbox",
        "lead": "Everything the application sends out arrives here, and nothing leaves.",
        "all": "All",
        "search": "Search phone, text, order…",
        "clear": "Clear list",
        "empty": "Nothing received yet. Place an order and its message shows up here.",
        "nothing": "Nothing matches the search.",
        "request": "Request received",
        "answer": "Answer given",
        "notices": "Notices sent to the application",
        "no_recipient": "no recipient",
        "offline": "Cannot reach the sandbox; trying again.",
        "unknown": "Unknown",
        "attempts": "attempts",
        "from": "Customer's phone",
        "number": "Id of the shop's number",
        "message": "Write as a customer…",
        "send": "Send",
        "typed": "typed by the customer",
        "accepted": "accepted",
        "refused": "refused",
        "pending": "in progress",
        "delivered": "delivered",
        "failed": "not delivered",
        "forced error": "forced error",
        "answer dropped": "answer dropped",
        "no such vendor or path": "unknown address",
    },
}

_NAMES = {
    "whatsapp": "WhatsApp",
    "webpush": "Web push",
    "smtp": "E-mail",
    "openai": "OpenAI",
}
"""Vendors whose names are not just capitalised."""


def page(request: Request, vendors: list[str]) -> HTMLResponse:
    """The shell; what was received is fetched and written as text, never as markup."""
    language = _language(request)
    texts, nonce = _TEXTS[language], secrets.token_urlsafe(12)
    # "<" must not end the script element early.
    facts = json.dumps({"lang": language, "texts": texts}).replace("<", "\\u003c")
    values = {
        "LANG": language,
        "NONCE": nonce,
        "TITLE": escape(texts["title"]),
        "LEAD": escape(texts["lead"]),
        "SEARCH": escape(texts["search"]),
        "CLEAR": escape(texts["clear"]),
        "FROM": escape(texts["from"]),
        "NUMBER": escape(texts["number"]),
        "MESSAGE": escape(texts["message"]),
        "SEND": escape(texts["send"]),
        "TABS": "".join(_tab(name, texts) for name in ["", *vendors, "unknown"]),
        "OTHER": "en" if language == "pt-BR" else "pt-BR",
        "FACTS": facts,
    }
    html = _TEMPLATE
    for name, value in values.items():
        html = html.replace(f"@@{name}@@", value)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(html, headers={"content-security-policy": policy})


def _tab(name: str, texts: dict[str, str]) -> str:
    label = {"": texts["all"], "unknown": texts["unknown"], **_NAMES}.get(name, name.capitalize())
    pressed = "false" if name else "true"
    return (
        f'<button type="button" data-vendor="{escape(name)}" aria-pressed="{pressed}">'
        f"{escape(label)}</button>"
    )


def _language(request: Request) -> str:
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
    return "en" if asked.lower().startswith("en") else "pt-BR"


_TEMPLATE = files("scripts.sandbox").joinpath("page.html").read_text(encoding="utf-8")
