"""What can go wrong with campaigns."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class CampaignNotFound(NotFound):
    code = "campaign-not-found"
    title = "There is no such campaign."


class CampaignInvalid(Invalid):
    code = "campaign-invalid"
    title = "The campaign contradicts itself: correct the fields listed in errors."


class CampaignTargetNotFound(NotFound):
    code = "campaign-target-not-found"
    title = "Some targets do not exist: see missing, and check scope."


class CouponCodeTaken(Conflict):
    code = "coupon-code-taken"
    title = "Another campaign uses this code: choose another one or change that campaign."


class LimitBelowUse(Conflict):
    code = "campaign-limit-below-use"
    title = "More than this limit was used already: see used_count and spent_cents."
