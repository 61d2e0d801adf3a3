"""The knobs that make a vendor slow, wrong, repetitive or silent, on purpose."""

from __future__ import annotations

import random

from pydantic import BaseModel, ConfigDict, Field


class ErrorKnob(BaseModel):
    """Answer with a vendor's error: the next ``times`` requests, or each with ``probability``.

    ``code`` is the vendor's own; ``http-502`` answers that status with an HTML body, as a gateway
    in between does.
    """

    model_config = ConfigDict(extra="forbid")

    code: str = Field(pattern=r"^(http-[45]\d\d|\d{1,6})$")
    times: int | None = Field(default=None, ge=0)
    probability: float = Field(default=1.0, ge=0, le=1)
    retry_after_s: int | None = Field(default=None, ge=0)


class Knobs(BaseModel):
    """One vendor's behaviour; a PUT replaces them all, an empty object restores the defaults."""

    model_config = ConfigDict(extra="forbid")

    latency_ms: int = Field(default=0, ge=0, le=120_000)
    error: ErrorKnob | None = None
    drop_answer: int = Field(
        default=0, ge=0, description="accept and record the next n requests, then cut the line"
    )
    statuses: list[str] = Field(
        default=["sent", "delivered", "read"],
        description="notices sent after an accepted message; failed:131026 names an error code",
    )
    status_delay_ms: int = Field(default=100, ge=0, le=60_000)
    duplicates: int = Field(default=1, ge=1, le=20, description="how often each notice is sent")
    reorder: bool = Field(default=False, description="send the notices last first")
    batch: bool = Field(default=False, description="send all notices in one delivery")

    late_ms: int = Field(
        default=0, ge=0, le=10_000, description="answers wait up to so long: some overtake"
    )
    lose: int = Field(default=0, ge=0, description="never send the next n notices")

    def take_loss(self) -> bool:
        """Whether this notice must never be sent, counting it."""
        if not self.lose:
            return False
        self.lose -= 1
        return True

    def take_error(self) -> ErrorKnob | None:
        """The error that this request must get, counting it."""
        error = self.error
        if error is None or error.times == 0 or random.random() >= error.probability:
            return None
        if error.times is not None:
            error.times -= 1
        return error

    def take_drop(self) -> bool:
        """Whether this answer must be lost, counting it."""
        if not self.drop_answer:
            return False
        self.drop_answer -= 1
        return True
