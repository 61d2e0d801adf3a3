"""Why a promotion does not apply, in words and figures for whoever wants the discount."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from app.commerce.promotions.offers import (
    Promotion,
    PromotionKind,
    PromotionScope,
    Reason,
    Unused,
)
from app.core.language import Language
from app.core.money import format_money

_DAYS: Mapping[Language, tuple[str, ...]] = {
    "pt": ("segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom the words are for; hours and dates are those of ``timezone``, the store's."""

    language: Language
    timezone: str
    currency: str = "BRL"

    def money(self, cents: int) -> str:
        return format_money(cents, self.currency, self.language)

    def percent(self, basis_points: int) -> str:
        text = f"{basis_points / 100:.2f}".rstrip("0").rstrip(".")
        return f"{text.replace('.', ',') if self.language == 'pt' else text}%"

    def moment(self, at: datetime) -> str:
        try:
            local = at.astimezone(ZoneInfo(self.timezone))
        except OverflowError:  # at an end of the calendar
            local = at
        if self.language == "pt":
            return f"{local:%d/%m}/{local.year} às {local:%H:%M}"
        return f"{local.day} {_MONTHS[local.month - 1]} {local.year} at {local:%H:%M}"

    def days(self, weekdays: frozenset[int]) -> str:
        names = [_DAYS[self.language][day] for day in sorted(weekdays)]
        last = " e " if self.language == "pt" else " and "
        return last.join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def why(unused: Unused, promotion: Promotion | None, reader: Reader) -> str:
    """One sentence; ``promotion`` is the one that ``unused`` names, None for an unknown code."""
    if promotion is None:
        return _unknown(unused, reader)
    return _WORDS[unused.reason](unused, promotion, reader)


def applied(cents: int, reader: Reader) -> str:
    """What a coupon takes off."""
    much = reader.money(cents)
    return f"{much} de desconto." if reader.language == "pt" else f"{much} off."


def benefit(promotion: Promotion, reader: Reader) -> str:
    """What the promotion gives, as the end of "add R$ 10.00 to get …"."""
    value, is_pt = promotion.value, reader.language == "pt"
    if promotion.kind is PromotionKind.FREE_SHIPPING:
        return _freight(promotion, reader)
    if promotion.kind is PromotionKind.BUY_X_GET_Y:
        return _bundle(promotion, reader)
    much = reader.money(value) if promotion.kind is PromotionKind.FIXED else reader.percent(value)
    return f"ganhar {much} de desconto" if is_pt else f"get {much} off"


def headline(promotion: Promotion, reader: Reader) -> str:
    """What the promotion gives, as a sentence of its own."""
    text = benefit(promotion, reader)
    for verb, order in (("ganhar", "ganhe"), ("levar", "leve"), ("pagar", "pague")):
        text = text.replace(verb, order)
    return f"{text[0].upper()}{text[1:]}."


def _freight(promotion: Promotion, reader: Reader) -> str:
    most = promotion.max_discount_cents
    if most is None:
        return "ganhar frete grátis" if reader.language == "pt" else "get free delivery"
    much = reader.money(most)
    if reader.language == "pt":
        return f"ganhar até {much} de desconto no frete"
    return f"get up to {much} off the delivery"


def _bundle(promotion: Promotion, reader: Reader) -> str:
    buy, get = max(1, promotion.buy_quantity), max(1, promotion.get_quantity)
    is_pt = reader.language == "pt"
    if promotion.value >= 10_000:
        return f"levar {buy + get} e pagar {buy}" if is_pt else f"get {buy + get} and pay for {buy}"
    much = reader.percent(promotion.value)
    if is_pt:
        return f"ganhar {much} de desconto em {get} {'item' if get == 1 else 'itens'}"
    return f"get {much} off {get} {'item' if get == 1 else 'items'}"


def _unknown(unused: Unused, reader: Reader) -> str:
    if reader.language == "pt":
        return f"Não encontramos o cupom {unused.code}."
    return f"There is no coupon {unused.code}."


def _paused(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    return "A promoção está pausada." if reader.language == "pt" else "The promotion is paused."


def _code_missing(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    if promotion.code is None:
        pt, en = "Vale só com um dos seus códigos.", "It takes one of its codes."
    else:
        pt, en = f"Vale só com o cupom {promotion.code}.", f"It takes the coupon {promotion.code}."
    return pt if reader.language == "pt" else en


def _revoked(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    if reader.language == "pt":
        return f"O cupom {unused.code} foi cancelado pela loja."
    return f"The store cancelled the coupon {unused.code}."


def _used(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    times = next((k.usage_limit for k in promotion.codes if k.code == unused.code), 1)
    if reader.language == "pt":
        return f"O cupom {unused.code} já foi usado{'' if times == 1 else f' {times} vezes'}."
    return f"The coupon {unused.code} was used {'already' if times == 1 else f'{times} times'}."


def _not_started(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    at = reader.moment(promotion.starts_at) if promotion.starts_at else ""
    return f"Vale a partir de {at}." if reader.language == "pt" else f"It starts on {at}."


def _expired(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    at = reader.moment(promotion.ends_at) if promotion.ends_at else ""
    return f"Valeu até {at}." if reader.language == "pt" else f"It ended on {at}."


def _weekday(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    days = reader.days(promotion.weekdays)
    if reader.language == "pt":
        return f"Vale só nestes dias: {days}."
    return f"Only on these days: {days}."


def _hour(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    opens = f"{promotion.hour_from:%H:%M}" if promotion.hour_from else "00:00"
    closes = f"{promotion.hour_to:%H:%M}" if promotion.hour_to else "00:00"
    if reader.language == "pt":
        return f"Vale só das {opens} às {closes}."
    return f"Only from {opens} to {closes}."


def _first_order(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    if reader.language == "pt":
        return "Vale só no primeiro pedido."
    return "Only on the first order."


def _limit(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    many = promotion.usage_limit
    if reader.language == "pt":
        return "O único uso acabou." if many == 1 else f"Os {many} usos acabaram."
    return "Its only use is gone." if many == 1 else f"All {many} uses are gone."


def _customer_limit(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    many = promotion.per_customer_limit
    if reader.language == "pt":
        times = "uma vez" if many == 1 else f"{many} vezes"
        return f"Cada cliente pode usar {times}, e você já usou."
    times = "once" if many == 1 else f"{many} times"
    return f"Each customer may use it {times}, and you did."


def _budget(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    # The sum itself is the merchant's business.
    if reader.language == "pt":
        return "O valor reservado para esta promoção acabou."
    return "What was set aside for this promotion is spent."


def _below(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    cents = unused.missing_cents or 0
    what = benefit(promotion, reader)
    if reader.language == "pt":
        return f"{'Falta' if cents < 200 else 'Faltam'} {reader.money(cents)} para {what}."
    return f"Add {reader.money(cents)} to {what}."


def _too_few(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    units, what = unused.missing_units or 1, benefit(promotion, reader)
    if reader.language == "pt":
        return f"{'Falta 1 item' if units == 1 else f'Faltam {units} itens'} para {what}."
    return f"Add {units} {'item' if units == 1 else 'items'} to {what}."


def _no_match(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    if promotion.kind is PromotionKind.FREE_SHIPPING:
        pt, en = "Não há frete a descontar neste pedido.", "This order has no delivery fee."
    elif promotion.scope in (PromotionScope.PRODUCT, PromotionScope.CATEGORY):
        pt, en = "Nenhum item do pedido participa.", "No item of the order takes part."
    else:
        pt, en = "Não há o que descontar neste pedido.", "There is nothing to take it off."
    return pt if reader.language == "pt" else en


def _wrong_store(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    return "Não vale nesta loja." if reader.language == "pt" else "Not at this store."


def _superseded(unused: Unused, promotion: Promotion, reader: Reader) -> str:
    if reader.language == "pt":
        return "Não se soma ao desconto que o pedido já tem, que é o melhor."
    return "It does not add to the discount the order has, which is the best."


_WORDS: Mapping[Reason, Callable[[Unused, Promotion, Reader], str]] = {
    Reason.UNKNOWN: lambda unused, _, reader: _unknown(unused, reader),
    Reason.PAUSED: _paused,
    Reason.CODE_MISSING: _code_missing,
    Reason.CODE_REVOKED: _revoked,
    Reason.CODE_USED: _used,
    Reason.NOT_STARTED: _not_started,
    Reason.EXPIRED: _expired,
    Reason.WRONG_WEEKDAY: _weekday,
    Reason.WRONG_HOUR: _hour,
    Reason.NOT_FIRST_ORDER: _first_order,
    Reason.LIMIT_REACHED: _limit,
    Reason.CUSTOMER_LIMIT_REACHED: _customer_limit,
    Reason.BUDGET_SPENT: _budget,
    Reason.BELOW_MINIMUM: _below,
    Reason.WRONG_STORE: _wrong_store,
    Reason.NO_MATCHING_ITEM: _no_match,
    Reason.TOO_FEW_ITEMS: _too_few,
    Reason.SUPERSEDED: _superseded,
}
