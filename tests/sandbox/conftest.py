"""Fixtures of the sandbox's own tests."""

from __future__ import annotations

from tests.sandbox.server import http, receiver, sandbox, sandbox_url

__all__ = ["http", "receiver", "sandbox", "sandbox_url"]
