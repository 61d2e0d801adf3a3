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


class CampaignImageUnknown(Invalid):
    code = "campaign-image-unknown"
    title = "There is no such image: upload it first and send the id it was given."


class CouponCodeTaken(Conflict):
    code = "coupon-code-taken"
    title = "Another campaign uses this code: choose another one or change that campaign."


class CampaignArchived(Conflict):
    code = "campaign-archived"
    title = "The campaign is archived: duplicate it to use it again."


class CampaignNotByCodes(Conflict):
    code = "campaign-not-by-codes"
    title = "The campaign does not go by generated codes: set by_codes first."


class CampaignHasCodes(Conflict):
    code = "campaign-has-codes"
    title = "The campaign has generated codes: without by_codes everybody would get its discount."


class TooManyCodes(Conflict):
    code = "too-many-coupon-codes"
    title = "The campaign would have more codes than the limit: see limit and generated."


class CodesNotFound(NotFound):
    code = "coupon-codes-not-found"
    title = "Some codes or the batch are not this campaign's: see missing; nothing was revoked."


class LimitBelowUse(Conflict):
    code = "campaign-limit-below-use"
    title = "More than this limit was used already: see used_count and spent_cents."
