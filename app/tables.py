"""Every table there is: the models by slice, what is outside row level security, what is sealed."""

from __future__ import annotations

from sqlalchemy import MetaData

from app.commerce.catalog import models as _catalog
from app.commerce.checkout import models as _checkout
from app.commerce.customers import models as _customers
from app.commerce.imports import models as _imports
from app.commerce.insights import models as _insights
from app.commerce.inventory import models as _inventory
from app.commerce.opendelivery import models as _opendelivery
from app.commerce.orders import models as _orders
from app.commerce.payments import models as _payments
from app.commerce.promotions import models as _promotions
from app.commerce.shipping import models as _shipping
from app.commerce.stores import models as _stores
from app.commerce.ucp import models as _ucp
from app.conversations.carts import models as _carts
from app.conversations.hours import models as _hours
from app.conversations.inbox import models as _conversations
from app.conversations.media import models as _media
from app.conversations.notifications import models as _order_news
from app.conversations.numbers import models as _numbers
from app.conversations.templates import models as _templates
from app.core.crypto import Sealed
from app.core.model import Model
from app.kernel import idempotency
from app.kernel.ai import models as _ai
from app.kernel.apikeys import models as _apikeys
from app.kernel.audit import models as _audit
from app.kernel.connections import models as _connections
from app.kernel.consents import models as _consents
from app.kernel.contacts import models as _contacts
from app.kernel.departments import models as _departments
from app.kernel.files import models as _files
from app.kernel.groups import models as _groups
from app.kernel.impersonations import models as _impersonations
from app.kernel.inbox import models as _inbox
from app.kernel.invitations import models as _invitations
from app.kernel.jobs import models as _jobs
from app.kernel.mail import models as _mail
from app.kernel.merging import models as _merging
from app.kernel.notifications import models as _notices
from app.kernel.passwords import models as _passwords
from app.kernel.realtime import models as _realtime
from app.kernel.schedules import models as _schedules
from app.kernel.segments import models as _segments
from app.kernel.sessions import models as _sessions
from app.kernel.tags import models as _tags
from app.kernel.tenants import models as _tenants
from app.kernel.totp import models as _totp
from app.kernel.usage import models as _usage
from app.kernel.users import models as _users
from app.kernel.webhooks import models as _webhooks
from app.saas.billing import models as _billing
from app.saas.plans import models as _plans

MODELS = (
    _tenants, _users, _groups, _sessions, _audit, _contacts, _files, _connections, _jobs,
    _realtime, idempotency, _stores, _catalog, _shipping, _inventory, _promotions, _customers,
    _orders, _payments, _checkout, _order_news, _usage, _plans, _webhooks, _schedules, _ai,
    _apikeys, _totp, _departments, _inbox, _billing, _mail, _passwords, _invitations, _notices,
    _impersonations, _insights, _tags, _consents, _merging, _segments,
    _numbers, _templates, _conversations, _carts, _hours, _imports, _media, _ucp,
    _opendelivery,
)  # fmt: skip
"""Importing a module registers its tables; the tuple keeps the imports honest."""

METADATA: MetaData = Model.metadata

SYSTEM_TABLES = frozenset(
    {
        "tenants", "plans", "job_deliveries", "postal_areas",
        "inbox_messages", "billing_accounts", "billing_invoices", "platform_keys",
        "whatsapp_routes",
    }
)  # fmt: skip
"""Tables outside row level security; everything else carries a tenant (DESIGN §6)."""

SEALED: tuple[Sealed, ...] = (
    *_connections.SEALED,
    *_webhooks.SEALED,
    *_sessions.SEALED,
    *_totp.SEALED,
    *_mail.SEALED,
    *_notices.SEALED,
    *_numbers.SEALED,
)
"""Everything that the vault seals: what is missing here is lost when its key is retired."""

SYSTEM_OBJECTS = frozenset(
    {"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics", "alembic_version"}
)
"""Tables that others own; migrations create them, the metadata does not know them."""
