"""How the clients turn a vendor's answer into a gateway failure, without leaking a credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    GatewayUnavailable,
    Refusal,
)
from app.core.http import (
    Answer,
    CallNotSent,
    CallUnanswered,
    Verdict,
    post_json,
    verdict_of,
)

_LONGEST_MESSAGE = 500


async def call(
    vendor: str,
    http: httpx.AsyncClient,
    url: str,
    *,
    payload: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """POST to a vendor; raises ``GatewayUnavailable`` or ``GatewayOutcomeUnknown``."""
    try:
        return await post_json(http, url, payload=payload, headers=headers)
    except CallNotSent as failure:
        raise GatewayUnavailable(vendor, str(failure)) from failure
    except CallUnanswered as failure:
        raise GatewayOutcomeUnknown(vendor, str(failure)) from failure


def failure_by_status(vendor: str, answer: Answer) -> GatewayFailure:
    """Judge an answer whose body tells nothing by its HTTP status alone."""
    code = f"http-{answer.status}"
    match verdict_of(answer.status):
        case Verdict.RETRY_LATER:
            return GatewayRefused(
                vendor,
                code,
                "too many requests",
                action=Refusal.RETRY,
                scope="call",
                retry_after_s=answer.retry_after_s,
            )
        case Verdict.REFUSED if answer.status in {401, 403}:
            message = "credentials were not accepted"
            return GatewayRefused(vendor, code, message, action=Refusal.AUTH, scope="account")
        case Verdict.REFUSED:
            return GatewayRefused(vendor, code, "refused", action=Refusal.PERMANENT)
    # Also a 2xx that could not be read: the vendor most likely did act.
    return GatewayOutcomeUnknown(vendor, code)


def without(secret: str, text: str) -> str:
    """A vendor's sentence, shortened and with the secret cut out: some quote a bad token back."""
    cleaned = text.replace(secret, "***") if secret else text
    return cleaned[:_LONGEST_MESSAGE]
