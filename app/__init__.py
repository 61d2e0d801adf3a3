"""One multi-tenant backend for a small business's whole day."""

import gc

from app.core.lazy import import_without

USUAL_COLLECTIONS = gc.get_threshold()
# What imports make stays: looking for garbage among it took a third of the start. The
# application's lifespan goes back to the usual pace.
gc.set_threshold(50_000, 20, 100)
# Either would load, for 7 MB of every process, what only its command line or its metrics need.
import_without("httpx", "httpx._main")
import_without("redis", "opentelemetry.sdk")
