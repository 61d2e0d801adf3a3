"""What letters say, in Portuguese and English, and how they look; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

_WAITS_S = (30.0, 120.0, 600.0, 1800.0, 3600.0, 14400.0)
"""Between the tries of one letter: some six hours in all, as servers of mail come back."""


@dataclass(frozen=True, slots=True)
class Template:
    """Subject and paragraphs with ``{facts}``; ``button`` names what the letter's link does."""

    subject: str
    paragraphs: tuple[str, ...]
    button: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    subject: str
    text: str
    html: str


TEMPLATES: dict[str, dict[str, Template]] = {
    "welcome": {
        "pt": Template(
            "Bem-vindo ao Largo, {name}",
            (
                "Olá, {name}.",
                "A organização {organization} está pronta. Ao entrar, informe o endereço {slug}.",
                "{trial}",
            ),
            "Entrar",
        ),
        "en": Template(
            "Welcome to Largo, {name}",
            (
                "Hello, {name}.",
                "The organization {organization} is ready. When you log in, name it as {slug}.",
                "{trial}",
            ),
            "Log in",
        ),
    },
    "invitation": {
        "pt": Template(
            "Convite para {organization}",
            (
                "Olá.",
                "{inviter} convidou você para trabalhar em {organization}.",
                "O convite vale até {until} e serve uma única vez. "
                "Se você não o esperava, ignore esta mensagem.",
            ),
            "Aceitar o convite",
        ),
        "en": Template(
            "Invitation to {organization}",
            (
                "Hello.",
                "{inviter} has invited you to work at {organization}.",
                "The invitation is good until {until}, once. "
                "If you did not expect it, ignore this message.",
            ),
            "Accept the invitation",
        ),
    },
    "password_reset": {
        "pt": Template(
            "Nova senha para {organization}",
            (
                "Olá, {name}.",
                "Alguém pediu uma nova senha para a sua conta em {organization}.",
                "O pedido vale por uma hora e serve uma única vez. "
                "Se não foi você, ignore esta mensagem: a sua senha continua a mesma.",
            ),
            "Escolher a nova senha",
        ),
        "en": Template(
            "New password for {organization}",
            (
                "Hello, {name}.",
                "Somebody asked for a new password for your account at {organization}.",
                "The request is good for one hour, once. "
                "If it was not you, ignore this message: your password stays as it is.",
            ),
            "Choose the new password",
        ),
    },
    "password_changed": {
        "pt": Template(
            "A sua senha em {organization} mudou",
            (
                "Olá, {name}.",
                "A senha da sua conta em {organization} acaba de mudar, e todas as sessões "
                "foram encerradas.",
                "Se não foi você, peça uma nova senha agora e avise a quem administra a conta.",
            ),
        ),
        "en": Template(
            "Your password at {organization} has changed",
            (
                "Hello, {name}.",
                "The password of your account at {organization} has just changed, and all "
                "sessions were ended.",
                "If it was not you, ask for a new password now and tell your administrator.",
            ),
        ),
    },
}
"""By name and language."""

_CODE = {"pt": "Código", "en": "Code"}
_PAGE = (
    '<!doctype html><html lang="{lang}"><body style="margin:0;background:#f4f5f2">'
    '<div style="max-width:32rem;margin:0 auto;padding:2rem 1.25rem;color:#1c2321;'
    'font:16px/1.5 system-ui,Arial,sans-serif">{body}</div></body></html>'
)
_BUTTON = (
    '<p><a href="{url}" style="display:inline-block;padding:.6rem 1.2rem;border-radius:.5rem;'
    'background:#0f6b57;color:#ffffff;text-decoration:none">{label}</a></p><p>{url}</p>'
)


def language(locale: str) -> str:
    """``en`` for English locales, else ``pt``."""
    return "en" if locale.lower().startswith("en") else "pt"


def write(
    template: str, locale: str, facts: Mapping[str, str], *, url: str = "", code: str = ""
) -> Written:
    """The letter as text and HTML: ``url`` becomes its button, ``code`` is shown without one.

    Facts are flattened to one line, so that nobody's name forges a paragraph of ours. Raises
    KeyError for a template or a fact that is missing.
    """
    lang = language(locale)
    found = TEMPLATES[template][lang]
    flat = {name: " ".join(value.split()) for name, value in facts.items()}
    # One that is a single fact may be empty: it is left out.
    paragraphs = [said for p in found.paragraphs if (said := p.format(**flat))]
    text = list(paragraphs)
    body = [f"<p>{escape(p)}</p>" for p in paragraphs]
    if url:
        text.append(f"{found.button}: {url}")
        body.append(_BUTTON.format(url=escape(url), label=escape(found.button)))
    elif code:
        text.append(f"{_CODE[lang]}: {code}")
        body.append(f"<p>{_CODE[lang]}: <code>{escape(code)}</code></p>")
    text.append("Largo")
    body.append('<p style="color:#5c6763">Largo</p>')
    html = _PAGE.format(lang="pt-BR" if lang == "pt" else lang, body="".join(body))
    return Written(found.subject.format(**flat), "\n\n".join(text) + "\n", html)


def retry_wait(attempts: int) -> float | None:
    """Seconds until the next try after ``attempts`` of them; None: no more."""
    return _WAITS_S[attempts - 1] if attempts <= len(_WAITS_S) else None
