"""What a vendor of language models must be able to do, and every way in which a call can end.

A completion changes nothing at the vendor, so repeating one is always safe; what a repetition may
cost differs: after ``LLMUnanswered`` the vendor may bill the first call, too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import JsonValue

Role = Literal["system", "user", "assistant"]
Stop = Literal["end", "length", "filtered"]


@dataclass(frozen=True, slots=True)
class LLMAccount:
    """Whose key pays, and where the vendor is reached.

    ``guarded``: the address was given by a tenant, so it is dialled as one.
    """

    base_url: str
    api_key: str = field(repr=False)
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. ``max_tokens`` bounds the answer, a model's unseen thinking included.

    ``json_schema``: the answer must be JSON of this schema; the vendor is told to hold to it.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    max_tokens: int
    temperature: float | None = None
    json_schema: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens as billed: ``input`` includes what came from or went to the vendor's cache, ``output``
    includes ``reasoning``."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer. ``stop`` is ``length`` when it was cut at ``max_tokens``, ``filtered`` when
    the vendor withheld it; ``usage`` is None when the vendor did not tell."""

    text: str
    model: str
    stop: Stop
    usage: TokenUsage | None


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of a streamed answer."""

    text: str


class LLMFailure(Exception):
    """A call without an answer. Never carries a credential."""

    retryable = True
    """Whether the same call may succeed later without anybody changing anything."""

    def __init__(self, vendor: str, reason: str) -> None:
        super().__init__(f"{vendor}: {reason}")
        self.vendor = vendor
        self.reason = reason


class LLMUnavailable(LLMFailure):
    """The vendor was not reached; nothing was asked and nothing is billed."""


class LLMRefused(LLMFailure):
    """The vendor answered, and did not complete: nothing is billed.

    ``code`` is the vendor's own, ``retry_after_s`` seconds to wait at least.
    """

    def __init__(
        self,
        vendor: str,
        code: str,
        message: str,
        *,
        retryable: bool,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(vendor, f"{code} {message}")
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class LLMUnanswered(LLMFailure):
    """Bytes left and no whole answer came back: the vendor may have worked, and may bill it."""


class LLMGateway(Protocol):
    """Ask a model; never called inside a transaction."""

    async def complete(self, account: LLMAccount, request: ChatRequest) -> Completion:
        """The whole answer. Raises an :class:`LLMFailure`."""
        ...

    def stream(
        self, account: LLMAccount, request: ChatRequest
    ) -> AsyncGenerator[Delta | Completion, None]:
        """The answer piece by piece, then as a whole with its usage; close it to hang up.

        Raises an :class:`LLMFailure`: ``LLMUnanswered`` when the line was cut on the way.
        """
        ...
