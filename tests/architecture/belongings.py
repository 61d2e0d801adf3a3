"""One object of every kind that a path or a body can name, all of one tenant."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.commerce.catalog.models import ProductModifierGroup
from app.commerce.inventory.models import StockLevel
from app.commerce.shipping.models import ShippingRule
from app.core.ids import new_id
from app.kernel.identity import Identity
from app.kernel.impersonations.service import ImpersonationService
from app.main import Largo
from tests.architecture.chats import NOBODYS, one_of_each
from tests.architecture.conftest import Owner
from tests.factories.commerce import PAULISTA, Shop, key, make_shop
from tests.factories.images import image
from tests.factories.tenants import Member, World
from tests.factories.whatsapp import make_account


def client(app: Largo, tenant: str | None, member: Member | None = None) -> httpx.AsyncClient:
    """Somebody who names this tenant, logged in as this member if one is given."""
    headers = {} if tenant is None else {"X-Tenant": tenant}
    if member is not None:
        headers["Authorization"] = f"Bearer {member.token}"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://largo.test", headers=headers)


@dataclass
class Belongings:
    """What ``world`` owns, and the words by which its data is recognised in any answer."""

    world: World
    mark: str = field(default_factory=lambda: f"marca{secrets.token_hex(5)}")
    in_path: dict[str, str] = field(default_factory=dict)
    """By the segment before the parameter and the parameter: ``orders/order_id``."""
    in_body: dict[str, str] = field(default_factory=dict)
    """By the name of a body's field or a query's parameter."""

    @property
    def words(self) -> set[str]:
        """What no stranger may ever read."""
        tenant, owner = self.world.tenant, self.world.owner
        ids = {
            value for name, value in self.in_path.items() if name not in ("jobs/job_id", *NOBODYS)
        }
        return {self.mark, tenant.slug, str(tenant.id), owner.email, *self.in_body.values(), *ids}

    def kinds(self, template: str) -> set[str]:
        """The keys of ``in_path`` that a path's parameters ask for."""
        return {name for name, _ in self._segments(template) if name}

    def path(self, template: str) -> str:
        """The path with this tenant's ids. LookupError when there is no object of a kind."""
        out = []
        for name, segment in self._segments(template):
            if name and name not in self.in_path:
                raise LookupError(
                    f"{template}: make an object in tests/architecture/belongings.py and put its "
                    f"id into in_path[{name!r}], so that the isolation matrix covers this route"
                )
            out.append(self.in_path[name] if name else segment)
        return "/" + "/".join(out)

    @staticmethod
    def _segments(template: str) -> Iterator[tuple[str, str]]:
        kind = ""
        for segment in template.strip("/").split("/"):
            if segment.startswith("{"):
                yield f"{kind}/{segment[1:-1]}", segment
            else:
                kind = segment
                yield "", segment

    def body(self, example: Any, name: str = "") -> Any:
        """An example body that names this tenant's objects instead of the example's."""
        if isinstance(example, dict):
            return {k: self.body(v, f"{name}.id" if k == "id" else k) for k, v in example.items()}
        if isinstance(example, list):
            return [self.body(item, name) for item in example]
        return self.in_body.get(name, example)


async def make_belongings(app: Largo, world: World, owner_sql: Owner) -> Belongings:
    """A shop with one of everything, made through factories and the API itself."""
    found = Belongings(world)
    slug = f"{found.mark}-loja"
    shop = await make_shop(world, slug=slug, name=f"Loja {found.mark}")
    async with client(app, world.tenant.slug, world.owner) as owner:
        await _shop(found, shop)
        await _order(found, shop, owner)
        await _count(found, owner)
        await _contacts(found, owner)
        await one_of_each(found, owner)
        await _people(found, owner)
        number, template = await make_account(world, found.mark)
        found.in_path |= {"numbers/number_id": number, "templates/template_id": template}
        found.in_body["number_id"] = number
        await _platform(found, owner, owner_sql)
    return found


def _ok(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.url.path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


async def _shop(found: Belongings, shop: Shop) -> None:
    mark = found.mark
    product = await shop.product(f"Pizza {mark}", 4990, stock=50, description=f"De {mark}")
    plain = await shop.product(f"Bebida {mark}", 900)
    variant = await shop.variant(product, f"Grande {mark}", 5990)
    modifier = (await shop.group(plain, {f"Borda {mark}": 500}))[f"Borda {mark}"]
    campaign = await shop.promotion(name=f"Terça {mark}", code=mark.upper(), value=100)
    async with found.world.work() as work:
        session = work.session
        level = await session.scalar(select(StockLevel.id).where(StockLevel.item_id == product))
        rule = await session.scalar(
            select(ShippingRule.id).where(ShippingRule.store_id == shop.store_id)
        )
        group = await session.scalar(
            select(ProductModifierGroup.group_id).where(ProductModifierGroup.product_id == plain)
        )
    found.in_path |= {
        "stores/store_id": str(shop.store_id),
        "stores/slug": shop.store_slug,
        "categories/category_id": str(shop.category_id),
        "products/product_id": str(product),
        "variants/variant_id": str(variant),
        "modifier-groups/group_id": str(group),
        "campaigns/campaign_id": str(campaign),
        "levels/level_id": str(level),
        "rules/rule_id": str(rule),
    }
    store = str(shop.store_id)
    found.in_body |= {
        "store": shop.store_slug,
        "store_id": store,
        "from_store_id": store,
        "to_store_id": store,
        "category_id": str(shop.category_id),
        "ids": str(shop.category_id),
        "product_id": str(plain),
        "item_id": str(product),
        "variant_id": str(variant),
        "group_ids": str(group),
        "modifiers.id": str(modifier),
        "coupons": mark.upper(),
    }


async def _count(found: Belongings, owner: httpx.AsyncClient) -> None:
    body = {"store_id": found.in_body["store_id"], "note": f"Balanço {found.mark}"}
    opened = _ok(await owner.post("/api/v1/admin/inventory/counts", json=body, headers=key()))
    found.in_path["counts/stock_count_id"] = opened["id"]


async def _order(found: Belongings, shop: Shop, owner: httpx.AsyncClient) -> None:
    cart = shop.cart(
        UUID(found.in_body["product_id"]),
        fulfilment="delivery",
        customer={"name": f"Maria {found.mark}", "phone": f"1198{secrets.randbelow(10**7):07d}"},
        address=PAULISTA | {"complement": found.mark},
        note=f"para {found.mark}",
    )
    placed = _ok(await owner.post("/api/v1/checkout", json=cart, headers=key()))
    detail = _ok(await owner.get(f"/api/v1/admin/orders/{placed['id']}"))
    note = await owner.post(
        f"/api/v1/admin/orders/{placed['id']}/notes",
        json={"body": f"ligar {found.mark}"},
        headers=key(),
    )
    found.in_path["notes/order_note_id"] = _ok(note)["id"]
    contact = _ok(await owner.get("/api/v1/admin/customers", params={"query": found.mark}))
    contact_id = contact["items"][0]["id"]
    payment = detail["payments"][0]["id"]
    await _paid(found, owner, detail["id"], payment)
    found.in_path |= {
        "orders/order_id": detail["id"],
        "customers/contact_id": contact_id,
        "contacts/contact_id": contact_id,
    }
    found.in_body |= {
        "order_id": detail["id"],
        "resource_id": detail["id"],
        "contact_id": contact_id,
        "token": placed["tracking_token"],
    }


async def _paid(found: Belongings, owner: httpx.AsyncClient, order: str, payment: str) -> None:
    money = f"/api/v1/admin/orders/{order}/payments/{payment}"
    pix = {
        "pix_key": f"{found.mark}@loja.example",
        "pix_key_type": "email",
        "merchant_name": f"Loja {found.mark}",
        "merchant_city": "Recife",
    }
    _ok(await owner.put("/api/v1/admin/payments/settings", json=pix))
    received = {"received_cents": 700}
    _ok(await owner.post(f"{money}/received", json=received, headers=key()))
    back = {"amount_cents": 100, "reason": f"troco de {found.mark}"}
    given = _ok(await owner.post(f"{money}/refunds", json=back, headers=key()))
    found.in_path |= {
        "payments/payment_id": payment,
        "refunds/refund_id": given["refunds"][0]["id"],
    }


async def _contacts(found: Belongings, owner: httpx.AsyncClient) -> None:
    mark, contact = found.mark, f"/api/v1/contacts/{found.in_path['contacts/contact_id']}"

    async def made(path: str, **body: Any) -> str:
        return str(_ok(await owner.post(path, json=body, headers=key()))["id"])

    asked = {"field": "name", "op": "contains", "value": mark}
    other = await made("/api/v1/contacts", name=f"Dupla {mark}", email=f"{mark}@dupla.example")
    merge = await made(f"{contact}/merges", merged_id=other)
    tag = await made("/api/v1/tags", name=f"Etiqueta {mark}")
    segment = await made("/api/v1/segments", name=f"Segmento {mark}", expression=asked)
    await made(f"{contact}/consents", channel="whatsapp", category="all", is_opt_in=True)
    found.in_path |= {
        "tags/tag_id": tag,
        "segments/segment_id": segment,
        "merges/merge_id": merge,
        "notes/note_id": await made(f"{contact}/notes", text=f"Nota {mark}"),
        "identities/identity_id": await made(
            f"{contact}/identities", kind="bsuid", value=f"BR.{mark}"
        ),
        "contact-attributes/attribute_id": await made(
            "/api/v1/contact-attributes", key=mark, label=f"Fato {mark}", kind="text"
        ),
        "score-rules/rule_id": await made(
            "/api/v1/score-rules", name=f"Regra {mark}", expression=asked, points=1
        ),
    }
    found.in_body |= {"tag_ids": tag, "segment_id": segment, "merged_id": other}


async def _people(found: Belongings, owner: httpx.AsyncClient) -> None:
    member = await found.world.member("agent")
    address = await owner.post(
        f"/api/v1/admin/customers/{found.in_path['customers/contact_id']}/addresses",
        json=PAULISTA | {"complement": found.mark},
    )
    group = await owner.post(
        "/api/v1/admin/groups",
        json={"name": f"Balcão {found.mark}", "grants": ["commerce.orders:read"]},
    )
    group_id = _ok(group)["id"]
    invited = await owner.post(
        "/api/v1/admin/invitations",
        json={"email": f"{found.mark}@convidada.example", "role": "agent"},
    )
    _ok(
        await owner.put(
            f"/api/v1/admin/groups/{group_id}/members", json={"user_ids": [str(member.id)]}
        )
    )
    department = await owner.post(
        "/api/v1/admin/departments", json={"name": f"Entregas {found.mark}"}, headers=key()
    )
    api_key = await owner.post(
        "/api/v1/admin/api-keys",
        json={"name": f"ERP {found.mark}", "scopes": ["commerce.orders:read"]},
    )
    platform = Identity(
        new_id(), new_id(), new_id(), "raiz@plataforma.example", "Raiz", "owner", frozenset()
    )
    async with found.world.work() as work:
        started = await ImpersonationService(work).start(
            platform, member.id, f"Chamado {found.mark}", 30
        )
    found.in_path |= {
        "impersonations/impersonation_id": str(started.impersonation.id),
        "departments/department_id": _ok(department)["id"],
        "api-keys/key_id": _ok(api_key)["id"],
        "users/user_id": str(member.id),
        "addresses/address_id": _ok(address)["id"],
        "groups/group_id": group_id,
        "invitations/invitation_id": _ok(invited)["id"],
        "sessions/session_id": str(found.world.owner.session_id),
    }
    found.in_body |= {
        "user_ids": str(member.id),
        "actor_id": str(found.world.owner.id),
        "department_id": found.in_path["departments/department_id"],
    }


async def _platform(found: Belongings, owner: httpx.AsyncClient, owner_sql: Owner) -> None:
    uploaded = await owner.post(
        "/api/v1/admin/files",
        files={"file": (f"{found.mark}.png", image(color=(7, 8, len(found.mark))), "image/png")},
    )
    stored = _ok(uploaded)
    secret = {"access_token": f"segredo-{found.mark}"}
    whatsapp = {"config": {"phone_number_id": "106540352242922"}, "secret": secret}
    _ok(await owner.put("/api/v1/admin/connections/whatsapp", json=whatsapp))
    table = {"file": ("itens.csv", f"id;nome\n{found.mark};Item\n".encode())}
    imported = await owner.post("/api/v1/admin/imports?kind=products", files=table)
    found.in_path["imports/import_id"] = _ok(imported)["id"]
    connection = await owner.post(
        "/api/v1/ai/connections",
        json={
            "provider": "openai-compatible",
            "name": f"Modelo {found.mark}",
            "config": {"base_url": "http://127.0.0.1:9/v1", "model": "m"},
            "secret": {"api_key": f"segredo-{found.mark}"},
        },
        headers=key(),
    )
    found.in_path["connections/connection_id"] = _ok(connection)["id"]
    hook = _ok(
        await owner.post(
            "/api/v1/admin/webhooks",
            json={"url": f"https://erp.example/{found.mark}", "events": ["commerce.order_placed"]},
        )
    )
    sent = _ok(await owner.post(f"/api/v1/admin/webhooks/{hook['id']}/test", headers=key()))
    found.in_path |= {"webhooks/endpoint_id": hook["id"], "deliveries/delivery_id": sent["id"]}
    await _notices(found, owner)
    # Kinds of jobs are nobody's, and counted in public; what one failed with is its tenant's.
    async with found.world.work() as work:
        work.enqueue("architecture.job", {"mark": found.mark})
    job = await owner_sql.fetchval(
        "SELECT id FROM pgqueuer WHERE entrypoint = 'architecture.job' "
        "AND strpos(convert_from(payload, 'UTF8'), $1) > 0",
        found.mark,
    )
    await owner_sql.execute(
        "INSERT INTO job_deliveries (id, job_id, tenant_id, entrypoint, last_error) "
        "VALUES ($1, $2, $3, 'architecture.job', $4)",
        new_id(),
        job,
        found.world.tenant.id,
        found.mark,
    )
    schedule = await owner.post(
        "/api/v1/admin/schedules",
        json={
            "name": f"Estoque {found.mark}",
            "cron": "0 7 * * *",
            "entrypoint": "commerce.inventory.low_stock_report",
        },
        headers=key(),
    )
    delivery = await owner_sql.fetchval(
        "INSERT INTO inbox_messages (id, provider, event_id, type, tenant_id, body, state) VALUES "
        "($1, 'whatsapp', $2, $2, $3, '{}', 'done') RETURNING id",
        *(new_id(), found.mark, found.world.tenant.id),
    )
    notice = await owner_sql.fetchval(
        "INSERT INTO inbox_messages (id, provider, event_id, type, tenant_id, body, state) "
        "VALUES ($1, 'stripe', $2, 'invoice.paid', $3, $4, 'dead') RETURNING id",
        new_id(),
        found.mark,
        found.world.tenant.id,
        found.mark.encode(),
    )
    found.in_path |= {
        "inbox-messages/message_id": str(notice),
        "tenants/tenant_id": str(found.world.tenant.id),
        "schedules/schedule_id": _ok(schedule)["id"],
        "jobs/job_id": str(job),
        "deliveries/inbound_id": str(delivery),
        "files/file_id": stored["id"],
        "media/key": stored["url"].partition("/media/")[2] if "url" in stored else stored["key"],
        **NOBODYS,
    }
    found.in_body |= {"logo_file_id": stored["id"], "image_file_ids": stored["id"]}


async def _notices(found: Belongings, owner: httpx.AsyncClient) -> None:
    told = _ok(await owner.post("/api/v1/user/notices/test", headers=key()))
    device = await owner.post(
        "/api/v1/user/notices/devices",
        json={
            "endpoint": f"https://push.example/{found.mark}",
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
                "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
            "label": f"Celular {found.mark}",
        },
    )
    found.in_path |= {"notices/notice_id": told["id"], "devices/device_id": _ok(device)["id"]}
