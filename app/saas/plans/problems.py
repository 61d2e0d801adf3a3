"""What can go wrong with a plan."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class PlanNotFound(NotFound):
    code = "plan-not-found"
    title = "There is no plan with this code: list the plans to see which exist."


class PlanCodeTaken(Conflict):
    code = "plan-code-taken"
    title = "Another plan has this code: choose a different one, or change that plan."


class PlanPriceTaken(Conflict):
    code = "plan-price-taken"
    title = "Another plan has this Stripe price: a payment would not tell which plan it buys."


class PlanInUse(Conflict):
    code = "plan-in-use"
    title = "Tenants are on this plan: move them first, or take it off sale with is_active false."


class PlanNotOffered(Conflict):
    code = "plan-not-offered"
    title = "This plan is off sale: choose an active one, or set is_active true first."
