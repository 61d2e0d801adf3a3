"""A platform whose agents shop by the Universal Commerce Protocol: the profile it publishes.

Source: ucp.dev/2026-08-25/specification/overview (profile structure). An error knob's codes are 1
(no JSON) and 2 (no profile); ``http-503`` and the like are a platform that is down.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Received
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig


class UcpConfig(VendorConfig):
    version: str = "2026-08-25"
    capabilities: tuple[str, ...] = (
        "dev.ucp.shopping.checkout",
        "dev.ucp.shopping.fulfillment",
        "dev.ucp.shopping.discount",
        "dev.ucp.shopping.catalog.search",
        "dev.ucp.shopping.catalog.lookup",
    )


class UcpPlatform(Vendor):
    """Says who it is; it shops only by your own hand."""

    name: ClassVar[str] = "ucp"
    config: UcpConfig

    @classmethod
    def configured(cls, settings: SandboxSettings) -> UcpConfig:
        return UcpConfig()

    def routes(self) -> list[Route]:
        return [Route("/ucp/.well-known/ucp", self.endpoint, methods=["GET"])]

    def failure(self, error: ErrorKnob) -> Reply:
        if int(error.code) == 1:
            return Reply(200, "<html>", "forced error")
        return Reply(200, {"ucp": {}}, "forced error")

    def describe(self, entry: Received) -> None:
        entry.to = entry.path

    def receive(self, request: Request, entry: Received) -> Reply:
        version = self.config.version
        service: JsonValue = {"version": version, "transport": "rest"}
        profile: JsonValue = {
            "ucp": {
                "version": version,
                "services": {"dev.ucp.shopping": [service]},
                "capabilities": {name: [{"version": version}] for name in self.config.capabilities},
                "payment_handlers": {},
            }
        }
        headers = {"cache-control": "public, max-age=300"}
        return Reply(200, profile, "accepted", headers)
