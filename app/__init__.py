"""One multi-tenant backend for a small business's whole day."""

import gc

USUAL_COLLECTIONS = gc.get_threshold()
# What imports make stays: looking for garbage among it took a third of the start. The
# application's lifespan goes back to the usual pace.
gc.set_threshold(50_000, 20, 100)
