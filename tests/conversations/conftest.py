"""Fixtures of the conversations' tests: the vendors are the sandbox, over real HTTP."""

from __future__ import annotations

from tests.sandbox.server import http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]
