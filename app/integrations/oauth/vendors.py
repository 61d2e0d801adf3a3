"""Google, Microsoft and HubSpot as their token servers are documented; addresses from settings."""

from __future__ import annotations

from urllib.parse import quote

from app.core.settings import Settings
from app.integrations.oauth.client import OAuthVendor, Whoami


def google(config: Settings) -> OAuthVendor:
    """Without ``prompt=consent`` a second consent brings no refresh token."""
    return OAuthVendor(
        name="google",
        label="Google",
        client_id=config.google_client_id,
        client_secret=config.google_client_secret.get_secret_value(),
        scopes=config.google_scopes,
        authorize=f"{config.google_accounts_base_url}/o/oauth2/v2/auth",
        token=f"{config.google_oauth_base_url}/token",
        revoke=f"{config.google_oauth_base_url}/revoke",
        whoami=Whoami(
            "GET", f"{config.google_api_base_url}/oauth2/v3/userinfo", ("sub",), ("email", "name")
        ),
        authorize_extra={"access_type": "offline", "prompt": "consent"},
    )


def microsoft(config: Settings) -> OAuthVendor:
    """Refresh tokens rotate; there is no call that revokes one application's consent."""
    directory = quote(config.microsoft_directory, safe="")
    root = f"{config.microsoft_login_base_url}/{directory}/oauth2/v2.0"
    return OAuthVendor(
        name="microsoft",
        label="Microsoft",
        client_id=config.microsoft_client_id,
        client_secret=config.microsoft_client_secret.get_secret_value(),
        scopes=config.microsoft_scopes,
        authorize=f"{root}/authorize",
        token=f"{root}/token",
        whoami=Whoami(
            "GET",
            f"{config.microsoft_graph_base_url}/v1.0/me",
            ("id",),
            ("mail", "userPrincipalName", "displayName"),
        ),
        authorize_extra={"response_mode": "query", "prompt": "select_account"},
        names_scopes_at_refresh=True,
    )


def hubspot(config: Settings) -> OAuthVendor:
    """The portal is told by introspection: tokens are opaque, and the v1 paths are deprecated."""
    root = f"{config.hubspot_api_base_url}/oauth/v3/token"
    return OAuthVendor(
        name="hubspot",
        label="HubSpot",
        client_id=config.hubspot_client_id,
        client_secret=config.hubspot_client_secret.get_secret_value(),
        scopes=config.hubspot_scopes,
        authorize=f"{config.hubspot_app_base_url}/oauth/authorize",
        token=root,
        revoke=f"{root}/revoke",
        whoami=Whoami("POST", f"{root}/introspect", ("hub_id",), ("hub_domain", "user")),
    )
