"""The vendors the sandbox plays: a new one is a module here and a name in ``VENDORS``."""

from __future__ import annotations

from scripts.sandbox.vendors.anthropic import Anthropic
from scripts.sandbox.vendors.base import Played
from scripts.sandbox.vendors.gemini import Gemini
from scripts.sandbox.vendors.keys import Keys
from scripts.sandbox.vendors.maps import GoogleMaps, Nominatim
from scripts.sandbox.vendors.oauth import Google, HubSpot, Microsoft
from scripts.sandbox.vendors.openai import OpenAI
from scripts.sandbox.vendors.smtp import MailServer
from scripts.sandbox.vendors.stripe import Stripe
from scripts.sandbox.vendors.telegram import Telegram
from scripts.sandbox.vendors.ucp import UcpPlatform
from scripts.sandbox.vendors.webpush import WebPush
from scripts.sandbox.vendors.whatsapp import WhatsApp

VENDORS: tuple[type[Played], ...] = (
    WhatsApp,
    Telegram,
    WebPush,
    OpenAI,
    Anthropic,
    Gemini,
    Google,
    Microsoft,
    HubSpot,
    Stripe,
    GoogleMaps,
    Nominatim,
    UcpPlatform,
    Keys,
    MailServer,
)
