"""POST /checkout answered before FastAPI when it is an ordinary order; the route does the rest."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.types import Scope

from app.commerce.checkout.schemas import CheckoutIn
from app.commerce.checkout.service import take_at_once
from app.kernel.idempotency import KEY_LENGTH, Intent
from app.kernel.request import Headers, Meta
from app.kernel.work import Caller, Runtime, actor_of

PATH = "/api/v1/checkout"
_JSON = b"application/json"


async def short(
    scope: Scope, meta: Meta, runtime: Runtime, body: bytes
) -> tuple[int, Headers, bytes] | None:
    """The order placed at once, under the route's own gate; None: nothing was done."""
    tenant, key = meta.tenant, meta.header(b"idempotency-key")
    if tenant is None or "commerce" not in tenant.modules or key is None:
        return None
    least, most = KEY_LENGTH
    if not least <= len(key) <= most or not meta.headers.get(b"content-type", b"").startswith(
        _JSON
    ):
        return None
    try:
        order = CheckoutIn.model_validate_json(body)
    except ValidationError:
        return None
    answer = await take_at_once(
        Caller(runtime, tenant, actor_of(meta)), order, Intent.of(key, PATH, body)
    )
    if answer is None:
        return None
    return answer.status, [(b"content-type", answer.media_type.encode())], answer.body
