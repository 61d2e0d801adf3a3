"""The page at /docs, with its script and style served from here: no CDN sees who reads it."""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

# The package is used for the files it ships; its own application factory is not.
_ASSETS = Path(fastapi_offline.__file__).parent / "static"
_URL = "/docs/assets"


def install(api: FastAPI) -> None:
    """Serve the interactive documentation of ``api`` at /docs."""

    async def page(request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=api.openapi_url or "/openapi.json",
            title=api.title,
            swagger_js_url=f"{_URL}/swagger-ui-bundle.js",
            swagger_css_url=f"{_URL}/swagger-ui.css",
            swagger_favicon_url=f"{_URL}/favicon.png",
        )

    api.mount(_URL, StaticFiles(directory=_ASSETS), name="docs-assets")
    api.add_route("/docs", page, include_in_schema=False)
