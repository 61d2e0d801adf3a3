"""Fixtures of the vendor clients' tests."""

from __future__ import annotations

from tests.sandbox.server import http, receiver, sandbox, sandbox_url

__all__ = ["http", "receiver", "sandbox", "sandbox_url"]
