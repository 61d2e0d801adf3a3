"""The one module that knows everybody: routers, ports, subscribers, jobs, ready routes."""

from __future__ import annotations

from fastapi import APIRouter

from app import vendors
from app.commerce.campaigns.endpoints import router as campaigns_router
from app.commerce.carts.service import ChatCarts
from app.commerce.catalog import snapshot as catalog_snapshot
from app.commerce.catalog.admin import router as catalog_admin_router
from app.commerce.catalog.endpoints import router as catalog_router
from app.commerce.checkout import short as checkout_short
from app.commerce.checkout.endpoints import router as checkout_router
from app.commerce.config.endpoints import router as config_router
from app.commerce.counter.endpoints import router as counter_router
from app.commerce.customers.endpoints import router as customers_router
from app.commerce.customers.service import CustomerTimeline
from app.commerce.desk.endpoints import public_router as reorder_router
from app.commerce.desk.endpoints import router as desk_router
from app.commerce.imports import jobs as imports
from app.commerce.imports.endpoints import router as imports_router
from app.commerce.insights import jobs as insights
from app.commerce.insights.endpoints import router as insights_router
from app.commerce.inventory import jobs as stock_news
from app.commerce.inventory.endpoints import router as inventory_router
from app.commerce.opendelivery.endpoints import admin_router as open_delivery_admin_router
from app.commerce.opendelivery.endpoints import router as open_delivery_router
from app.commerce.orders import confirming
from app.commerce.orders import expiry as order_expiry
from app.commerce.orders.endpoints import admin_router as orders_admin_router
from app.commerce.orders.endpoints import public_router as orders_router
from app.commerce.orders.service import OrderService
from app.commerce.payments import jobs as payments
from app.commerce.payments import rules as payment_rules
from app.commerce.payments.endpoints import router as payments_router
from app.commerce.promotions.endpoints import public_router as offers_router
from app.commerce.promotions.endpoints import router as promotions_router
from app.commerce.promotions.shelf import PriceTagService
from app.commerce.shipping.endpoints import router as shipping_router
from app.commerce.stocktakes.endpoints import router as stocktakes_router
from app.commerce.stores.endpoints import router as stores_router
from app.commerce.stores.service import StoreService
from app.commerce.ucp.endpoints import admin_router as ucp_admin_router
from app.commerce.ucp.endpoints import router as ucp_router
from app.contracts.carts import CartDesk
from app.contracts.commerce import (
    OrderLookup,
    OrderMessages,
    OrderPlaced,
    OrderStatusChanged,
    StockReported,
)
from app.contracts.contacts import ContactBlockChanged, ContactsMerged, TimelineSource
from app.contracts.conversations import (
    AccountNoticed,
    ConversationOpened,
    MessageReceived,
)
from app.contracts.gateways.billing import BillingGateway
from app.contracts.gateways.checks import CredentialCheck
from app.contracts.gateways.email import EmailGateway
from app.contracts.gateways.llm import LLMGateway
from app.contracts.gateways.maps import Geocoder, RoadsFor
from app.contracts.gateways.messaging import MessageGateway
from app.contracts.gateways.oauth import OAuthGateway
from app.contracts.gateways.payments import PaymentGateway
from app.contracts.gateways.push import PushGateway
from app.contracts.gateways.whatsapp import WhatsAppGateway
from app.contracts.platform import (
    AgentStatusChanged,
)
from app.contracts.prices import PriceTags
from app.contracts.saas import InUse, UpgradeAdvice
from app.conversations.carts import jobs as carts
from app.conversations.hours import jobs as hours
from app.conversations.hours.endpoints import router as inbox_hours_router
from app.conversations.inbound import jobs as inbound
from app.conversations.inbound.endpoints import router as inbound_router
from app.conversations.inbox import jobs as conversations
from app.conversations.inbox.endpoints import router as conversations_router
from app.conversations.inbox.endpoints import team_router as inbox_team_router
from app.conversations.media import jobs as media
from app.conversations.media.endpoints import router as media_router
from app.conversations.media.endpoints import upload_router as media_upload_router
from app.conversations.notifications import jobs as order_news
from app.conversations.notifications.endpoints import router as order_news_router
from app.conversations.notifications.endpoints import texts_router as order_texts_router
from app.conversations.notifications.service import NotificationService
from app.conversations.numbers.endpoints import router as numbers_router
from app.conversations.sending import jobs as sending
from app.conversations.sending.endpoints import router as sending_router
from app.conversations.story.service import ConversationTimeline
from app.conversations.templates import jobs as templates
from app.conversations.templates.endpoints import router as templates_router
from app.integrations.anthropic.client import AnthropicClient
from app.integrations.gemini.client import GeminiClient
from app.integrations.openai.client import COMPATIBLE, OpenAIClient
from app.kernel import health, metrics
from app.kernel.account.endpoints import router as account_router
from app.kernel.addressbook.endpoints import router as addressbook_router
from app.kernel.ai.endpoints import router as ai_router
from app.kernel.apikeys.endpoints import router as apikeys_router
from app.kernel.audit.endpoints import router as audit_router
from app.kernel.connections.endpoints import ai_router as ai_connections_router
from app.kernel.connections.endpoints import router as connections_router
from app.kernel.connections.providers import router as providers_router
from app.kernel.connections.rules import PROVIDERS
from app.kernel.contacts.endpoints import router as contacts_router
from app.kernel.contacts.timeline import ContactTimeline
from app.kernel.departments.endpoints import router as departments_router
from app.kernel.files import jobs as files
from app.kernel.files.endpoints import router as files_router
from app.kernel.files.service import queue_cleaning
from app.kernel.groups.endpoints import router as groups_router
from app.kernel.impersonations.endpoints import router as impersonations_router
from app.kernel.impersonations.jobs import tell_expired
from app.kernel.inbox import jobs as inbox
from app.kernel.inbox.endpoints import router as inbox_router
from app.kernel.inbox.service import Source
from app.kernel.inbox.service import sweep as forget_old_notices
from app.kernel.invitations.endpoints import admin_router as invitations_admin_router
from app.kernel.invitations.endpoints import public_router as invitations_router
from app.kernel.jobs.endpoints import router as jobs_router
from app.kernel.jobs.service import Beat, Handler
from app.kernel.layers import Ready, Short
from app.kernel.mail import jobs as mail
from app.kernel.mail.endpoints import router as mail_router
from app.kernel.merging.endpoints import router as merging_router
from app.kernel.notifications import jobs as notices
from app.kernel.notifications.endpoints import admin_router as notices_admin_router
from app.kernel.notifications.endpoints import router as notices_router
from app.kernel.passwords.endpoints import router as passwords_router
from app.kernel.ports import Ports, Schedulable, Subscribers
from app.kernel.realtime.endpoints import router as realtime_router
from app.kernel.retention import prune_now_and_then
from app.kernel.schedules.endpoints import router as schedules_router
from app.kernel.schedules.jobs import scheduled
from app.kernel.schedules.ticking import tick_all
from app.kernel.segments import jobs as scoring
from app.kernel.segments.endpoints import audience_router, scores_router
from app.kernel.segments.endpoints import router as segments_router
from app.kernel.sessions.endpoints import modules_router
from app.kernel.sessions.endpoints import router as sessions_router
from app.kernel.sessions.endpoints import users_router as user_sessions_router
from app.kernel.tags.endpoints import attributes_router
from app.kernel.tags.endpoints import router as tags_router
from app.kernel.totp.endpoints import router as totp_router
from app.kernel.usage.endpoints import router as usage_router
from app.kernel.users.endpoints import router as users_router
from app.kernel.users.service import UserService
from app.kernel.webhooks import jobs as webhooks
from app.kernel.webhooks.endpoints import router as webhooks_router
from app.saas.billing.endpoints import router as billing_router
from app.saas.billing.jobs import (
    RECONCILE,
    IntakeSource,
    StatusSource,
    StripeSource,
    reconcile,
)
from app.saas.billing.service import look_again
from app.saas.central import jobs as central_jobs
from app.saas.central.endpoints import router as central_tenants_router
from app.saas.onboarding.endpoints import admin_router as onboarding_router
from app.saas.onboarding.endpoints import auth_router as beginning_router
from app.saas.onboarding.endpoints import router as organizations_router
from app.saas.overview.endpoints import router as central_overview_router
from app.saas.plans.endpoints import central_router as central_plans_router
from app.saas.plans.endpoints import public_router as plans_router
from app.saas.plans.service import PlanService
from app.saas.support.endpoints import router as central_support_router
from app.saas.support.users import router as central_users_router

ROUTERS: list[APIRouter] = [
    # Looked through in this order: what is asked for hundreds of times a second comes first.
    checkout_router,
    inbound_router,
    counter_router,
    desk_router,
    reorder_router,
    orders_router,
    orders_admin_router,
    open_delivery_router,
    open_delivery_admin_router,
    payments_router,
    health.router,
    metrics.router,
    sessions_router,
    totp_router,
    account_router,
    passwords_router,
    invitations_router,
    invitations_admin_router,
    realtime_router,
    users_router,
    user_sessions_router,
    modules_router,
    impersonations_router,
    groups_router,
    departments_router,
    apikeys_router,
    audit_router,
    files_router,
    providers_router,
    connections_router,
    ai_router,
    ai_connections_router,
    jobs_router,
    mail_router,
    webhooks_router,
    schedules_router,
    stores_router,
    config_router,
    ucp_router,
    ucp_admin_router,
    shipping_router,
    # Before /contacts/{contact_id}: their paths are words.
    addressbook_router,
    audience_router,
    merging_router,
    contacts_router,
    tags_router,
    attributes_router,
    segments_router,
    scores_router,
    customers_router,
    inventory_router,
    stocktakes_router,
    promotions_router,
    offers_router,
    campaigns_router,
    imports_router,
    insights_router,
    order_news_router,
    numbers_router,
    templates_router,
    order_texts_router,
    conversations_router,
    inbox_team_router,
    inbox_hours_router,
    sending_router,
    media_router,
    media_upload_router,
    notices_router,
    notices_admin_router,
    catalog_router,
    catalog_admin_router,
    usage_router,
    plans_router,
    central_plans_router,
    central_tenants_router,
    inbox_router,
    billing_router,
    beginning_router,
    organizations_router,
    onboarding_router,
    central_users_router,
    central_support_router,
    central_overview_router,
]

PORTS = (
    Ports()
    .bind(OrderLookup, OrderService)
    .bind(CartDesk, ChatCarts)
    .bind(PriceTags, PriceTagService)
    .bind(OrderMessages, NotificationService)
    .bind(TimelineSource, ContactTimeline, name="contacts")
    .bind(TimelineSource, CustomerTimeline, name="commerce")
    .bind(TimelineSource, ConversationTimeline, name="conversations")
    .bind(UpgradeAdvice, PlanService)
    .bind(InUse, UserService, name="users")
    .bind(InUse, StoreService, name="stores")
    .bind(MessageGateway, vendors.whatsapp, name="whatsapp")
    .bind(MessageGateway, vendors.telegram, name="telegram")
    .bind(WhatsAppGateway, vendors.whatsapp)
    .bind(LLMGateway, lambda work: OpenAIClient(vendors.llm(work)), name="openai")
    .bind(LLMGateway, lambda work: OpenAIClient(vendors.llm(work), COMPATIBLE), name=COMPATIBLE)
    .bind(LLMGateway, lambda work: AnthropicClient(vendors.llm(work)), name="anthropic")
    .bind(LLMGateway, lambda work: GeminiClient(vendors.llm(work)), name="gemini")
    .bind(OAuthGateway, vendors.google, name="google")
    .bind(OAuthGateway, vendors.microsoft, name="microsoft")
    .bind(OAuthGateway, vendors.hubspot, name="hubspot")
    .bind(BillingGateway, vendors.stripe)
    .bind(Source, lambda work: StripeSource(work.runtime), name=StripeSource.name)
    .bind(Source, lambda work: StatusSource(work.runtime), name=StatusSource.name)
    .bind(Source, lambda work: IntakeSource(work.runtime), name=IntakeSource.name)
    .bind(
        Source, lambda work: inbound.WhatsAppSource(work.runtime), name=inbound.WhatsAppSource.name
    )
    .bind(PaymentGateway, vendors.stripe_payments, name=payment_rules.PROVIDER)
    .bind(
        Source,
        lambda work: payments.ShopStripeSource(work.runtime, work.tenant),
        name=payments.ShopStripeSource.name,
    )
    .bind(EmailGateway, vendors.smtp)
    .bind(PushGateway, vendors.webpush)
    .bind(RoadsFor, vendors.google_maps, name="google-maps")
    .bind(Geocoder, vendors.nominatim, name="nominatim")
)
for _provider in PROVIDERS.values():
    if not _provider.by_consent:
        PORTS.bind(CredentialCheck, vendors.key_check(_provider.name), name=_provider.name)

SUBSCRIBERS: Subscribers = {
    OrderPlaced: [order_news.ORDER_NEWS],
    OrderStatusChanged: [order_news.ORDER_NEWS],
    StockReported: [order_news.STOCK_TELEGRAM],
    AccountNoticed: [inbound.ACCOUNT],
    ContactsMerged: [inbound.FOLLOW_MERGE],
    ContactBlockChanged: [conversations.FOLLOW_BLOCK],
    ConversationOpened: [conversations.OPENED],
    MessageReceived: [conversations.GIVE_WAITING],
    AgentStatusChanged: [conversations.GIVE_WAITING],
}

HEARD_WHEN = {
    order_news.ORDER_NEWS: order_news.HEARD_WHEN,
    webhooks.WEBHOOK_FAN_OUT: webhooks.HEARD_WHEN,
}

JOBS: dict[str, Handler] = {
    order_news.ORDER_NEWS: order_news.order_news,
    order_news.ORDER_WHATSAPP: order_news.order_whatsapp,
    order_news.ORDER_TELEGRAM: order_news.order_telegram,
    mail.SEND: mail.send,
    webhooks.WEBHOOK_FAN_OUT: webhooks.fan_out,
    webhooks.DELIVER: webhooks.deliver,
    files.CLEAN: files.clean,
    files.ERASE: files.erase,
    inbox.PROCESS: inbox.process,
    inbound.ACCOUNT: inbound.apply_account,
    inbound.FOLLOW_MERGE: inbound.follow_merge,
    carts.RECEIVED: carts.received,
    carts.ANSWERED: carts.answered,
    hours.AWAY: hours.away,
    RECONCILE: reconcile,
    notices.NOTICE_FAN_OUT: notices.fan_out,
    notices.DELIVER: notices.deliver,
    central_jobs.ERASE_LEFT_FILES: central_jobs.erase_left_files,
    order_news.STOCK_TELEGRAM: order_news.stock_telegram,
    sending.SEND: sending.send,
    sending.MARK_READ: sending.mark_read,
    conversations.FOLLOW_BLOCK: conversations.follow_block,
    media.FETCH: media.fetch,
    media.CLEAN: media.clean_up,
    conversations.OPENED: conversations.opened,
    conversations.GIVE_WAITING: conversations.give_waiting,
    conversations.WAKE: conversations.wake,
    payments.REFUND: payments.refund,
    payments.CLOSE_INTENT: payments.cancel_intent,
    insights.ROLL_UP: insights.roll_up,
    templates.SYNC: templates.sync,
    templates.SYNC_ALL: scheduled(templates.sync_all),
    imports.APPLY: imports.apply,
    stock_news.LOW_STOCK_REPORT: scheduled(stock_news.low_stock_report),
    stock_news.CHECK: scheduled(stock_news.check),
    scoring.RESCORE: scheduled(scoring.rescore),
}

SCHEDULABLE: Schedulable = {
    stock_news.LOW_STOCK_REPORT: "commerce",
    stock_news.CHECK: "commerce",
    scoring.RESCORE: "conversations",
    templates.SYNC_ALL: "conversations",
}

BEATS: tuple[Beat, ...] = (
    health.beat, tick_all, prune_now_and_then, queue_cleaning, forget_old_notices, look_again,
    tell_expired, order_expiry.expire_now_and_then, confirming.confirm_now_and_then,
    insights.queue_rolling,
    sending.mark_undecided_now_and_then, conversations.tell_late_now_and_then,
    media.queue_cleaning,
)  # fmt: skip

SHORT: dict[str, Short] = {checkout_short.PATH: checkout_short.short}

READY: dict[str, Ready] = {"/api/v1/catalog": catalog_snapshot.ready}
