"""The one module that knows everybody: routers, tables, ports, subscribers, jobs, ready routes."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import MetaData

from app.commerce.catalog import models as _catalog
from app.commerce.customers import models as _customers
from app.commerce.inventory import models as _inventory
from app.commerce.orders import models as _orders
from app.commerce.promotions import models as _promotions
from app.commerce.shipping import models as _shipping
from app.commerce.stores import models as _stores
from app.contracts.commerce import OrderPlaced
from app.conversations.notifications import models as _notifications
from app.core.model import Model
from app.kernel import health, idempotency
from app.kernel.audit import models as _audit
from app.kernel.connections import models as _connections
from app.kernel.contacts import models as _contacts
from app.kernel.files import models as _files
from app.kernel.groups import models as _groups
from app.kernel.jobs import models as _jobs
from app.kernel.jobs.service import Handler
from app.kernel.middleware import Ready
from app.kernel.realtime import models as _realtime
from app.kernel.realtime.endpoints import router as realtime_router
from app.kernel.sessions import models as _sessions
from app.kernel.sessions.endpoints import router as sessions_router
from app.kernel.tenants import models as _tenants
from app.kernel.users import models as _users
from app.kernel.work import Ports, Subscribers

ROUTERS: list[APIRouter] = [health.router, sessions_router, realtime_router]

MODELS = (
    _tenants, _users, _groups, _sessions, _audit, _contacts, _files, _connections, _jobs,
    _realtime, idempotency, _stores, _catalog, _shipping, _inventory, _promotions, _customers,
    _orders, _notifications,
)  # fmt: skip
"""Importing a module registers its tables; the tuple keeps the imports honest."""

METADATA: MetaData = Model.metadata

SYSTEM_TABLES = frozenset({"tenants", "job_deliveries", "postal_areas"})
"""Tables outside row level security; everything else carries a tenant (DESIGN §6)."""

SYSTEM_OBJECTS = frozenset(
    {"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics", "alembic_version"}
)
"""Tables that others own; migrations create them, the metadata does not know them."""

PORTS = Ports()

SUBSCRIBERS: Subscribers = {OrderPlaced: []}

JOBS: dict[str, Handler] = {}

READY: dict[str, Ready] = {}
