"""What the tenant's own people are told of, in which words, and who may be told."""

from __future__ import annotations

from app.commerce.inventory import rules as stock_rules
from app.commerce.orders import rules as order_rules
from app.commerce.payments import rules as payment_rules
from app.contracts.commerce import (
    OrderPlaced,
    OrderStatusChanged,
    OrderWithdrawn,
    PaymentFlagged,
    PaymentPaid,
    RefundDue,
    RefundFailed,
    StockDrifted,
    StockLow,
)
from app.contracts.conversations import ConversationNoted, MessageUndecided, ServiceLate
from app.contracts.notices import EVERYWHERE, NoticeKind, notice_kinds
from app.contracts.platform import ConnectionExpired, JobHeld, WebhookEndpointDisabled
from app.contracts.saas import SubscriptionDoubled
from app.contracts.schedules import SchedulePaused
from app.contracts.whatsapp import NumberInTrouble, TemplateRefused
from app.conversations.inbox import rules as conversation_rules
from app.conversations.numbers import rules as number_rules
from app.conversations.templates import rules as template_rules
from app.kernel.connections import rules as connection_rules
from app.kernel.jobs import rules as job_rules
from app.kernel.schedules import rules as schedule_rules
from app.kernel.webhooks import rules as webhook_rules
from app.saas.billing import rules as billing_rules

NOTICES = notice_kinds(
    NoticeKind(
        OrderPlaced, "Novo pedido", "commerce.orders:update", order_rules.placed_notice,
        is_urgent=True, ttl_s=4 * 3600,
    ),
    NoticeKind(
        OrderWithdrawn, "Pedido cancelado pelo cliente", "commerce.orders:update",
        order_rules.withdrawn_notice, is_urgent=True, ttl_s=4 * 3600,
    ),
    # Asked for by whoever wants it: most moves are made by those who would be told of them.
    NoticeKind(
        OrderStatusChanged, "Pedido mudou de situação", "commerce.orders:update",
        order_rules.moved_notice, frozenset(), ttl_s=4 * 3600,
    ),
    NoticeKind(
        PaymentPaid, "Pagamento recebido", "commerce.orders:update", payment_rules.paid_notice,
    ),
    NoticeKind(
        PaymentFlagged, "Pagamento a conferir", "commerce.payments:write",
        payment_rules.flagged_notice, EVERYWHERE,
    ),
    NoticeKind(
        RefundDue, "Devolução a fazer", "commerce.payments:refund",
        payment_rules.refund_due_notice, EVERYWHERE,
    ),
    NoticeKind(
        RefundFailed, "Estorno recusado", "commerce.payments:refund",
        payment_rules.refund_failed_notice, EVERYWHERE,
    ),
    NoticeKind(StockLow, "Estoque baixo", "commerce.inventory:write", stock_rules.low_notice),
    NoticeKind(
        StockDrifted, "Estoque não confere", "commerce.inventory:write", stock_rules.drift_notice,
        EVERYWHERE,
    ),
    NoticeKind(
        WebhookEndpointDisabled, "Webhook desligado", "platform.webhooks:write",
        webhook_rules.disabled_notice, EVERYWHERE,
    ),
    NoticeKind(
        SchedulePaused, "Agendamento pausado", "platform.schedules:write",
        schedule_rules.paused_notice, EVERYWHERE,
    ),
    NoticeKind(
        ConnectionExpired, "Conexão encerrada", "platform.connections:write",
        connection_rules.expired_notice, EVERYWHERE,
    ),
    NoticeKind(
        SubscriptionDoubled, "Assinatura em dobro", "platform.billing:write",
        billing_rules.doubled_notice, EVERYWHERE,
    ),
    NoticeKind(
        NumberInTrouble, "Número de WhatsApp em risco", "conversations.numbers:write",
        number_rules.trouble_notice, EVERYWHERE,
    ),
    NoticeKind(
        TemplateRefused, "Modelo de mensagem recusado", "conversations.templates:write",
        template_rules.refused_notice,
    ),
    NoticeKind(
        ServiceLate, "Conversa atrasada", "conversations.messages:manage",
        conversation_rules.late_notice,
    ),
    NoticeKind(
        ConversationNoted, "Menção numa conversa", "conversations.messages:read",
        conversation_rules.mention_notice, only=conversation_rules.mentioned,
    ),
    NoticeKind(
        MessageUndecided, "Mensagem sem confirmação", "conversations.messages:write",
        conversation_rules.undecided_notice,
    ),
    NoticeKind(
        JobHeld, "Tarefa parada", "platform.jobs:write", job_rules.held_notice, EVERYWHERE,
        is_for_platform=True,
    ),
)  # fmt: skip
"""What the tenant's own people are told of; who has the grant is told."""
