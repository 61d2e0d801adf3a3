"""Every way in which asking a language model fails; ``retryable`` speaks to jobs."""

from __future__ import annotations

from typing import ClassVar

from app.core.problems import Conflict, Problem, TooMany, Unavailable, Upstream


class AiProblem(Problem):
    """What all of them have: whether the same question may be answered later."""

    retryable: ClassVar[bool] = False
    retry_after_s: float | None = None


class AiNotConfigured(AiProblem, Conflict):
    code = "ai-not-configured"
    title = "No AI provider is connected: connect one, with its key, in the connections."


class AiBudgetReached(AiProblem, Conflict):
    code = "ai-budget-reached"
    title = "This month's AI budget does not cover this call: raise it, or wait for next month."


class AiTooManyCalls(AiProblem, TooMany):
    code = "ai-too-many-calls"
    title = "Too many AI calls of this tenant: wait for the seconds in Retry-After."
    retryable = True


class AiProviderRefused(AiProblem, Upstream):
    code = "ai-provider-refused"
    title = "The AI provider refused: check its key, its credit and the model's name."


class AiProviderUnavailable(AiProblem, Unavailable):
    code = "ai-provider-unavailable"
    title = "The AI provider cannot answer now: try again in a few minutes."
    retryable = True


class AiUnanswered(AiProblem, Upstream):
    code = "ai-unanswered"
    title = "The AI provider's answer was lost on its way: try again; it may be billed twice."
    retryable = True


class AiAnswerTruncated(AiProblem, Upstream):
    code = "ai-answer-truncated"
    title = "The AI's answer did not fit its limit: ask for less at once, or allow more tokens."


class AiAnswerWithheld(AiProblem, Upstream):
    code = "ai-answer-withheld"
    title = "The AI provider withheld its answer, as its rules of content ask: change the text."


class AiAnswerUnreadable(AiProblem, Upstream):
    code = "ai-answer-unreadable"
    title = "The AI's answer is not the JSON that was asked for: try again."
    retryable = True
