"""The two pages of Stripe that people see, as small as they can be: pay, and manage."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.responses import HTMLResponse

Object = dict[str, Any]

_SHELL = """<!doctype html><html lang="pt-BR"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}}
button,select{{font:inherit;padding:.5rem 1rem;margin:.25rem .25rem .25rem 0}}
form{{margin:1rem 0}}small{{color:#555}}</style>
<h1>{title}</h1>{content}<p><small>Caixa de areia: nenhum valor é cobrado.</small></p></html>"""
_POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def checkout_page(session: Object, price: Object) -> HTMLResponse:
    """What it costs, and the ways this can end."""
    if session["status"] != "open":
        said = f"<p>Esta página já terminou: <b>{escape(session['status'])}</b>.</p>"
        return _page("Pagamento", said)
    return _page(
        "Pagamento",
        f"<p>{escape(price['product'])}: <b>{_money(price)}</b> por mês</p><form method=post>"
        "<button name=action value=pay>Pagar</button>"
        "<button name=action value=decline>Cartão recusado</button>"
        "<button name=action value=cancel>Voltar</button></form>",
    )


def portal_page(portal: Object, own: list[Object], prices: dict[str, Object]) -> HTMLResponse:
    """Every subscription of the customer with what can be done to it."""
    options = "".join(
        f"<option value='{escape(p['id'])}'>{escape(p['product'])} {_money(p)}</option>"
        for p in prices.values()
    )
    parts = [
        f"<form method=post><b>{escape(s['items']['data'][0]['price']['product'])}</b> "
        f"({escape(s['status'])}{', termina com o período' if s['cancel_at_period_end'] else ''})"
        f"<input type=hidden name=subscription value='{escape(s['id'])}'><br>"
        f"<select name=price>{options}</select>"
        "<button name=step value=change>Trocar plano</button><br>"
        "<button name=step value=cancel_later>Cancelar no fim do período</button>"
        "<button name=step value=resume>Manter</button>"
        "<button name=step value=cancel>Cancelar agora</button></form>"
        for s in own
    ]
    back = f"<p><a href='{escape(portal['return_url'] or '/')}'>Voltar</a></p>"
    return _page("Assinatura", "".join(parts) + back)


def _page(title: str, content: str) -> HTMLResponse:
    return HTMLResponse(_SHELL.format(title=title, content=content), headers=_POLICY)


def _money(price: Object) -> str:
    reais, cents = divmod(price["unit_amount"], 100)
    return f"R$ {reais},{cents:02d}" if price["currency"] == "brl" else f"{price['unit_amount']}"
