"""What a template asks for, whether values fit it, and how it reads with them.

Source: the vendor's description of template components (Cloud API, v23.0): positional variables
are ``{{1}}`` onwards without gaps, named ones ``{{first_name}}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.contracts.gateways.whatsapp import Component, Parameter
from app.contracts.notices import Wording
from app.contracts.whatsapp import TemplateRefused

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
MEDIA = ("image", "video", "document", "location")
# The button's kind at the vendor, and the sub types under which values for it are sent.
_SUB_TYPES = {
    "URL": ("url",),
    "QUICK_REPLY": ("quick_reply",),
    "COPY_CODE": ("copy_code",),
    "FLOW": ("flow",),
    "CATALOG": ("catalog",),
    "MPM": ("mpm",),
    "SPM": ("spm",),
    "ORDER_DETAILS": ("order_details",),
    "OTP": ("url", "copy_code"),
    "VOICE_CALL": ("voice_call",),
}
_ALWAYS_VALUED = ("COPY_CODE", "MPM", "ORDER_DETAILS", "OTP")

Fault = dict[str, str]
Parts = Sequence[Mapping[str, Any]]


def variables(text: object) -> list[str]:
    """The names in a text, each once, in order of appearance."""
    return list(dict.fromkeys(_VARIABLE.findall(str(text or ""))))


def part(components: Parts, kind: str) -> Mapping[str, Any]:
    """The component of a kind (``BODY``); an empty one when there is none."""
    return next((c for c in components if str(c.get("type", "")).upper() == kind), {})


def buttons(components: Parts) -> Parts:
    return parts_of(part(components, "BUTTONS"), "buttons")


def parts_of(holder: Mapping[str, Any], name: str) -> Parts:
    """What stands under a name in a list; nothing when it is none: people write these."""
    found = holder.get(name)
    return [p for p in found if isinstance(p, dict)] if isinstance(found, list) else []


def faults(components: Parts, given: Sequence[Component], named: bool) -> list[Fault]:
    """What keeps these values from being sent with this template; empty: nothing."""
    return list(_faults(components, given, named, "/components"))


def _faults(components: Parts, given: Sequence[Component], named: bool, at: str) -> Iterator[Fault]:
    values = {c.type: c.parameters or [] for c in given}
    yield from _header_faults(part(components, "HEADER"), values.get("header", []), named, at)
    wanted = variables(part(components, "BODY").get("text"))
    yield from _text_faults(wanted, values.get("body", []), named, f"{at}/body")
    yield from _button_faults(buttons(components), given, at)
    yield from _carousel_faults(part(components, "CAROUSEL"), given, named, at)
    offer = part(components, "LIMITED_TIME_OFFER").get("limited_time_offer")
    expires = isinstance(offer, dict) and offer.get("has_expiration")
    if expires and not values.get("limited_time_offer"):
        yield _fault(f"{at}/limited_time_offer", "the offer needs its end")


def _header_faults(
    header: Mapping[str, Any], values: Sequence[Parameter], named: bool, at: str
) -> Iterator[Fault]:
    form = str(header.get("format", "TEXT")).lower()
    if form in MEDIA:
        if [value.type for value in values] != [form]:
            yield _fault(f"{at}/header", f"the header needs one parameter of type {form}")
        return
    yield from _text_faults(variables(header.get("text")), values, named, f"{at}/header")


def _text_faults(
    wanted: Sequence[str], values: Sequence[Parameter], named: bool, at: str
) -> Iterator[Fault]:
    if not named:
        if len(values) != len(wanted):
            yield _fault(at, f"{len(wanted)} values are needed, {len(values)} were given")
    else:
        given = [value.parameter_name or "" for value in values]
        if sorted(given) != sorted(wanted):
            yield _fault(at, f"values are needed for: {', '.join(wanted) or 'nothing'}")
    for index, value in enumerate(values):
        if value.type not in ("text", "currency", "date_time"):
            yield _fault(f"{at}/{index}", "a text takes text, currency or date_time")
        elif value.type == "text" and not _flat(value.text):
            yield _fault(
                f"{at}/{index}", "no empty text, line break, tab or more than four spaces in a row"
            )


def _flat(text: str | bool | None) -> bool:
    """The vendor refuses these with 132018."""
    return isinstance(text, bool) or bool(text and not re.search(r"[\n\t]| {5}", text))


def _button_faults(there: Parts, given: Sequence[Component], at: str) -> Iterator[Fault]:
    valued: dict[int, Component] = {}
    for component in given:
        if component.type == "button":
            valued[int(component.index or 0)] = component
    for index, component in valued.items():
        kind = str(there[index].get("type", "")).upper() if index < len(there) else ""
        if str(component.sub_type).lower() not in _SUB_TYPES.get(kind, ()):
            yield _fault(f"{at}/button/{index}", "the template has no such button here")
    for index, button in enumerate(there):
        kind = str(button.get("type", "")).upper()
        needs = kind in _ALWAYS_VALUED or (kind == "URL" and bool(variables(button.get("url"))))
        if needs and not (index in valued and valued[index].parameters):
            yield _fault(f"{at}/button/{index}", "this button needs a value")


def _carousel_faults(
    carousel: Mapping[str, Any], given: Sequence[Component], named: bool, at: str
) -> Iterator[Fault]:
    there = parts_of(carousel, "cards")
    cards = [card for c in given if c.type == "carousel" for card in c.cards or []]
    if len(cards) != len(there):
        yield _fault(f"{at}/carousel", f"{len(there)} cards are needed, {len(cards)} were given")
        return
    for index, (card, values) in enumerate(zip(there, cards, strict=True)):
        yield from _faults(
            parts_of(card, "components"), values.components, named, f"{at}/carousel/{index}"
        )


def definition_faults(components: Parts, named: bool) -> list[Fault]:
    """What the vendor would refuse of a new template without a review; empty: nothing."""
    return list(_definition_faults(components, named))


def _definition_faults(components: Parts, named: bool) -> Iterator[Fault]:
    kinds = [str(c.get("type", "")).upper() for c in components]
    if kinds.count("BODY") != 1 or len(set(kinds)) != len(kinds):
        yield _fault("/components", "one BODY, and no other component twice")
    yield from _wording_faults(components, named)
    yield from _example_faults(components, named)
    there = buttons(components)
    if len(there) > 10:
        yield _fault("/components/BUTTONS", "at most 10 buttons")
    for index, button in enumerate(there):
        if len(str(button.get("text", ""))) > 25:
            yield _fault(f"/components/BUTTONS/{index}", "at most 25 characters")


def _wording_faults(components: Parts, named: bool) -> Iterator[Fault]:
    for kind, longest in {"HEADER": 60, "BODY": 1024, "FOOTER": 60}.items():
        text = str(part(components, kind).get("text", ""))
        if len(text) > longest:
            yield _fault(f"/components/{kind}", f"at most {longest} characters")
        if kind != "FOOTER":
            yield from _variable_faults(text, named, f"/components/{kind}")
    if len(variables(part(components, "HEADER").get("text"))) > 1:
        yield _fault("/components/HEADER", "at most one variable")
    if variables(part(components, "FOOTER").get("text")):
        yield _fault("/components/FOOTER", "no variables")


def _variable_faults(text: str, named: bool, at: str) -> Iterator[Fault]:
    found = variables(text)
    if not named and found != [str(n) for n in range(1, len(found) + 1)]:
        yield _fault(at, "number the variables {{1}}, {{2}}… without gaps, in order")
    if named and any(not re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in found):
        yield _fault(at, "name variables in lower case: {{first_name}}")


def _example_faults(components: Parts, named: bool) -> Iterator[Fault]:
    for kind in ("HEADER", "BODY"):
        found = part(components, kind)
        wanted, have = variables(found.get("text")), examples(found, named)
        if set(wanted) - set(have):
            yield _fault(f"/components/{kind}/example", "every variable needs a sample value")
    header = part(components, "HEADER")
    if str(header.get("format", "")).lower() in ("image", "video", "document"):
        example = header.get("example")
        if not (isinstance(example, dict) and example.get("header_handle")):
            yield _fault("/components/HEADER/example", "a media header needs header_handle")


def examples(component: Mapping[str, Any], named: bool) -> dict[str, str]:
    """A component's own sample values by variable."""
    example = component.get("example")
    if not isinstance(example, dict):
        return {}
    which = str(component.get("type", "")).lower()
    if named:
        rows = parts_of(example, f"{which}_text_named_params")
        return {str(r.get("param_name")): str(r.get("example")) for r in rows}
    listed = example.get(f"{which}_text")
    if not isinstance(listed, list):
        return {}
    first = listed[0] if listed and isinstance(listed[0], list) else listed
    return {str(n): str(value) for n, value in enumerate(first, start=1)}


def filled(component: Mapping[str, Any], values: Sequence[Parameter], named: bool) -> str:
    """A component's text with these values, its own samples where none is given."""
    found = examples(component, named)
    for n, value in enumerate(values, start=1):
        found[value.parameter_name or "" if named else str(n)] = _said(value)
    return _VARIABLE.sub(lambda m: found.get(m[1], m[0]), str(component.get("text", "")))


def _said(value: Parameter) -> str:
    held = getattr(value, value.type)
    return str(held.get("fallback_value", "")) if isinstance(held, dict) else str(held)


def refused_notice(event: TemplateRefused) -> Wording:
    """Words for whoever looks after the templates."""
    word = {"rejected": "recusado", "paused": "pausado", "disabled": "desativado"}
    state = word.get(event.status, event.status)
    why = f" Motivo: {event.reason}." if event.reason else ""
    return Wording(
        f"Modelo {state}",
        f"O modelo {event.template_name} ({event.language}) foi {state} pelo WhatsApp.{why}",
        f"/admin/whatsapp/templates/{event.template_id}",
    )


def _fault(pointer: str, detail: str) -> Fault:
    return {"pointer": pointer, "detail": detail}
