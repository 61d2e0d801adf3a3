"""Which client of which vendor answers a contract, made from the settings; for wiring."""

from __future__ import annotations

from collections.abc import Callable

from app.contracts.gateways.checks import CredentialCheck
from app.contracts.gateways.storage import FileStorage
from app.core.settings import Settings
from app.integrations.checks.client import KeyChecks
from app.integrations.google_maps.client import GoogleMaps
from app.integrations.llm import Wire
from app.integrations.nominatim.client import Nominatim
from app.integrations.oauth import vendors as oauth_vendors
from app.integrations.oauth.client import OAuthClient
from app.integrations.s3.client import S3Storage
from app.integrations.smtp.client import SmtpClient, SmtpServer
from app.integrations.stripe.client import StripeGateway
from app.integrations.stripe.payments import StripePayments
from app.integrations.telegram.client import TelegramClient
from app.integrations.webpush.client import WebPushClient
from app.integrations.whatsapp.cloud import CloudApi
from app.integrations.whatsapp.graph import Graph
from app.kernel.files.storage import LocalStorage
from app.kernel.work import UnitOfWork
from app.saas.billing.problems import BillingNotConfigured


def whatsapp(work: UnitOfWork) -> CloudApi:
    """For every number, whosever it is: token, address and version come with each call."""
    runtime, config = work.runtime, work.runtime.settings
    return CloudApi(
        Graph(
            runtime.http,
            runtime.guard,
            config.whatsapp_graph_base_url,
            config.whatsapp_graph_version,
        )
    )


def telegram(work: UnitOfWork) -> TelegramClient:
    return TelegramClient(work.runtime.http, work.runtime.settings.telegram_api_base_url)


def storage_of(config: Settings) -> FileStorage:
    """The store that the settings name."""
    if config.storage_backend == "local":
        return LocalStorage(config.media_root)
    return S3Storage(
        bucket=config.s3_bucket,
        endpoint_url=config.s3_endpoint_url,
        region=config.s3_region,
        access_key=config.s3_access_key_id,
        secret_key=config.s3_secret_access_key.get_secret_value(),
    )


def llm(work: UnitOfWork) -> Wire:
    runtime = work.runtime
    return Wire(runtime.http, runtime.guard, runtime.settings.ai_timeout_seconds)


def google(work: UnitOfWork) -> OAuthClient:
    return OAuthClient(work.runtime.http, oauth_vendors.google(work.runtime.settings))


def microsoft(work: UnitOfWork) -> OAuthClient:
    return OAuthClient(work.runtime.http, oauth_vendors.microsoft(work.runtime.settings))


def hubspot(work: UnitOfWork) -> OAuthClient:
    return OAuthClient(work.runtime.http, oauth_vendors.hubspot(work.runtime.settings))


def key_check(provider: str) -> Callable[[UnitOfWork], CredentialCheck]:
    def build(work: UnitOfWork) -> CredentialCheck:
        runtime = work.runtime
        return KeyChecks(runtime.http, runtime.guard, runtime.settings).of(provider)

    return build


def stripe(work: UnitOfWork) -> StripeGateway:
    """One per process: it holds the library's client. Raises BillingNotConfigured."""
    config, caches = work.runtime.settings, work.runtime.caches
    if not config.stripe_secret_key.get_secret_value():
        raise BillingNotConfigured()
    found = caches.get("stripe")
    if not isinstance(found, StripeGateway):
        found = caches["stripe"] = StripeGateway(
            work.runtime.http, config.stripe_api_base_url, config.stripe_secret_key
        )
    return found


def stripe_payments(work: UnitOfWork) -> StripePayments:
    """For the tenants' own accounts; their keys come with each call."""
    return StripePayments(work.runtime.http, work.runtime.settings.stripe_api_base_url)


def smtp(work: UnitOfWork) -> SmtpClient:
    config = work.runtime.settings
    return SmtpClient(
        SmtpServer(
            config.smtp_host, config.smtp_port, config.smtp_from, config.smtp_username,
            config.smtp_password.get_secret_value(), config.smtp_tls, config.smtp_timeout_seconds,
        )
    )  # fmt: skip


def webpush(work: UnitOfWork) -> WebPushClient:
    return WebPushClient(work.runtime.guard, work.runtime.settings.web_push_subject)


def google_maps(work: UnitOfWork) -> GoogleMaps:
    """One per process: it keeps the library's clients."""
    config, caches = work.runtime.settings, work.runtime.caches
    found = caches.get("google-maps")
    if not isinstance(found, GoogleMaps) or not found.asks(config.google_maps_base_url):
        found = caches["google-maps"] = GoogleMaps(
            config.google_maps_base_url, config.maps_timeout_seconds
        )
    return found


def nominatim(work: UnitOfWork) -> Nominatim:
    config = work.runtime.settings
    agent = f"Largo (+{config.public_base_url})"
    return Nominatim(
        work.runtime.http, config.nominatim_base_url, agent, config.maps_timeout_seconds
    )
