"""In what order a store's rules are listed, so that the near tier prices what is near."""

from __future__ import annotations

from collections.abc import Sequence

from app.commerce.shipping.models import ShippingRule
from app.commerce.shipping.schemas import RuleFields


def place_for(new: RuleFields, others: Sequence[ShippingRule]) -> int:
    """Where a rule goes by itself: at the end, a distance tier before any that reaches farther.

    Of equal positions the shorter reach is tried first, so none needs to move.
    """
    reach = new.max_meters
    for rule in others:
        if reach is not None and rule.max_meters is not None and rule.max_meters > reach:
            return rule.position
    return others[-1].position + 1 if others else 0


def near_before_far(rules: Sequence[RuleFields]) -> list[RuleFields]:
    """The list as given, but its distance tiers by reach in the places they take.

    A far tier written above a near one would price every address that the near one is for.
    """
    tiers = iter(sorted((r for r in rules if r.max_meters is not None), key=_reach))
    return [rule if rule.max_meters is None else next(tiers) for rule in rules]


def _reach(rule: RuleFields) -> int:
    return rule.max_meters or 0


def is_same(rule: ShippingRule, wanted: RuleFields) -> bool:
    """Whether they serve the same addresses; fee, minutes and order may differ."""
    names = ("kind", "max_meters", "cep_from", "cep_to", "district")
    return all(getattr(rule, name) == getattr(wanted, name) for name in names)
