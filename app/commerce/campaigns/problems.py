"""What can go wrong when a campaign is looked at."""

from __future__ import annotations

from app.core.problems import Invalid


class CampaignPeriodInvalid(Invalid):
    code = "campaign-period-invalid"
    title = "Send a period of 1 to 366 days, the first day not after the last."
