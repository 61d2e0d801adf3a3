"""Whose account answers a question: the tenant's own, else the platform's."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from app.contracts.gateways.llm import LLMAccount
from app.core.settings import Settings
from app.kernel.ai.problems import AiNotConfigured
from app.kernel.connections.service import ConnectionService
from app.kernel.work import UnitOfWork

PROVIDERS = ("openai", "anthropic", "gemini", "openai-compatible")
"""In the order in which the platform's own accounts are tried when a question names none."""


@dataclass(frozen=True, slots=True)
class Payer:
    """An account, its model unless the question names one, and whether the platform pays."""

    provider: str
    account: LLMAccount
    model: str
    on_platform: bool


async def payer_for(work: UnitOfWork, provider: str | None) -> Payer:
    """The account to use. Raises AiNotConfigured."""
    wanted = [p for p in PROVIDERS if provider in (None, p)]
    config = work.runtime.settings
    connections = ConnectionService(work)
    if provider is None and (preferred := await connections.default("ai")) is not None:
        return _tenants(preferred.provider, preferred.values, config)
    if provider in PROVIDERS and (own := await connections.credentials(provider)) is not None:
        return _tenants(provider, own, config)
    for name in wanted:
        key, base_url, model = _platforms(name, config)
        if key:
            return Payer(name, LLMAccount(base_url, key), model, on_platform=True)
    raise AiNotConfigured(provider=provider)


def _tenants(name: str, own: dict[str, str], config: Settings) -> Payer:
    _, base_url, model = _platforms(name, config)
    theirs = own.get("base_url", "")
    account = LLMAccount(theirs or base_url, own["api_key"], guarded=bool(theirs))
    return Payer(name, account, own.get("model") or model, on_platform=False)


def _platforms(name: str, config: Settings) -> tuple[str, str, str]:
    """Key, base URL and model of the platform's own account; an empty key: it has none."""
    if name == "openai-compatible":
        return "", "", ""
    key: SecretStr = getattr(config, f"{name}_api_key")
    return (
        key.get_secret_value(),
        getattr(config, f"{name}_base_url"),
        getattr(config, f"{name}_model"),
    )
