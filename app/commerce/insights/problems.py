"""What can go wrong when asking for insights."""

from __future__ import annotations

from app.core.problems import Invalid


class PeriodInvalid(Invalid):
    code = "insight-period-invalid"
    title = "Send a period of 1 to 1096 days, the first day not after the last."
