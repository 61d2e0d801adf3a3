"""Stripe's API for subscriptions, its two pages, and signed events with all their bad manners."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from typing import Any, ClassVar

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from scripts.sandbox.callbacks import Callbacks
from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Callback, Received, Recorder
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors import stripe_intents
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig, parsed_body, shown_headers
from scripts.sandbox.vendors.stripe_page import checkout_page, portal_page
from scripts.sandbox.vendors.stripe_rules import PARAMETERS, check, flag
from scripts.sandbox.vendors.stripe_world import Object, Refused, World, missing, new, shown

_KEY = re.compile(r"(sk|rk)_(test|live)_(?!wrong)\w+")  # as with other vendors, wrong is wrong
_LASTS_S = 86_400


class Endpoint(VendorConfig):
    """Where one account's events go."""

    webhook_url: str = ""
    webhook_secret: str = ""


class StripeConfig(VendorConfig):
    """Where the events go, what signs them, and how stubbornly they are delivered."""

    webhook_url: str = ""
    webhook_secret: str = ""
    attempts: int = Field(default=5, ge=1, le=10)
    retry_delay_ms: int = Field(default=500, ge=0, le=60_000)
    accounts: dict[str, Endpoint] = Field(default_factory=dict)
    """Endpoints of other accounts than the platform's, by their API key: shops' own."""
    slow_refunds: bool = False
    """Refunds wait until ``/stripe/life/re_.../settle`` or ``bounce``."""


class Stripe(Vendor):
    """Plays one account; test and live keys see the same objects, marked by who made them."""

    name: ClassVar[str] = "stripe"
    config: StripeConfig

    def __init__(self, settings: SandboxSettings, recorder: Recorder, callbacks: Callbacks) -> None:
        super().__init__(settings, recorder, callbacks)
        self.world = World()
        self.intents = stripe_intents.Intents(self.world.tell)
        self._answered: dict[str, tuple[str, Reply]] = {}

    @classmethod
    def configured(cls, settings: SandboxSettings) -> StripeConfig:
        return StripeConfig(
            webhook_url=settings.stripe_webhook_url, webhook_secret=settings.stripe_webhook_secret
        )

    def routes(self) -> list[Route]:
        return [
            Route("/stripe/v1/{path:path}", self.endpoint, methods=["GET", "POST"]),
            Route("/stripe/pay/{session}", self.checkout, methods=["GET", "POST"]),
            Route("/stripe/portal/{portal}", self.portal, methods=["GET", "POST"]),
            Route("/stripe/life/{id}/{step}", self.live, methods=["POST"]),
        ]

    def failure(self, error: ErrorKnob) -> Reply:
        status = int(error.code) if 400 <= int(error.code) <= 599 else 400
        kind = "card_error" if status == 402 else "api_error"
        text = "Too many requests" if status == 429 else "An error occurred with our API."
        return Reply(status, {"error": {"type": kind, "message": text}}, "refused")

    def describe(self, entry: Received) -> None:
        body = entry.body if isinstance(entry.body, dict) else {}
        entry.to = str(body.get("customer") or body.get("email") or "")
        entry.preview = f"{entry.method} {entry.path.removeprefix('/stripe')}"

    def receive(self, request: Request, entry: Received) -> Reply:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        found = _KEY.fullmatch(token)
        if found is None or (self.config.tokens and token not in self.config.tokens):
            error: JsonValue = {"type": "invalid_request_error", "message": "Invalid API Key"}
            return Reply(401, {"error": error}, "refused")
        body = entry.body if isinstance(entry.body, dict) else {}
        fields = {**request.query_params, **{k: str(v) for k, v in body.items()}}
        key = request.headers.get("idempotency-key", "")
        if request.method == "POST" and key:
            reply = self._once(key, request, fields, found[2] == "live")
        else:
            reply = self._answer(request, fields, found[2] == "live")
        if self.world.told:
            self._notify(entry)
        return reply

    def _once(self, key: str, request: Request, fields: dict[str, str], live: bool) -> Reply:
        said = json.dumps([request.url.path, fields], sort_keys=True)
        before = self._answered.get(key)
        if before is None:
            reply = self._answer(request, fields, live)
            self._answered[key] = (said, reply)
            return reply
        if before[0] != said:
            text = "Keys for idempotent requests can only be used with the same parameters."
            return Reply(400, {"error": {"type": "idempotency_error", "message": text}}, "refused")
        return Reply(before[1].status, before[1].body, "accepted", {"idempotent-replayed": "true"})

    def _answer(self, request: Request, fields: dict[str, str], live: bool) -> Reply:
        path = request.path_params["path"]
        intents = self.intents
        intents.slow_refunds = self.config.slow_refunds
        try:
            if intents.owns(path):
                return Reply(200, shown(self._intent(request, path, fields, live)), "accepted")
            if request.method == "GET":
                return Reply(200, self._read(path, fields), "accepted")
            origin = f"{request.url.scheme}://{request.url.netloc}/stripe"
            return Reply(200, shown(self._write(path, fields, live, origin)), "accepted")
        except Refused as refused:
            return Reply(refused.status, {"error": refused.error}, "refused")

    def _intent(self, request: Request, path: str, fields: dict[str, str], live: bool) -> Object:
        intents = self.intents
        if request.method == "GET":
            return intents.read(path)
        if path in stripe_intents.PARAMETERS:
            check(path, fields)
        token = request.headers["authorization"].removeprefix("Bearer ")
        # Whose it is rides along; the answer does not show it.
        made: Object = {"created": int(time.time()), "livemode": live, "sandbox_key": token}
        return intents.write(path, fields, made)

    def _read(self, path: str, fields: dict[str, str]) -> Any:
        world = self.world
        kinds = {
            "customers": world.customers,
            "prices": world.prices,
            "subscriptions": world.subscriptions,
            "invoices": world.invoices,
            "events": world.events,
            "checkout/sessions": world.sessions,
        }
        if path == "subscriptions":
            return _subscriptions(world, fields)
        if path == "balance":
            return {"object": "balance", "livemode": False, "available": []}
        kind, _, id_ = path.rpartition("/")
        if kind not in kinds:
            raise Refused(404, "url_invalid", f"Unrecognized request URL (GET: /v1/{path}).")
        if id_ not in kinds[kind]:
            raise missing(kind.rpartition("/")[2].removesuffix("s"), id_)
        return shown(kinds[kind][id_])

    def _write(self, path: str, fields: dict[str, str], live: bool, origin: str) -> Object:
        if path.startswith("checkout/sessions/") and path.endswith("/expire"):
            return self._expire(path.split("/")[2])
        if path not in PARAMETERS:
            raise Refused(404, "url_invalid", f"Unrecognized request URL (POST: /v1/{path}).")
        check(path, fields)
        made: Object = {"created": int(time.time()), "livemode": live}
        match path:
            case "customers":
                made |= {"id": new("cus"), "object": "customer", "email": fields.get("email")}
                made |= {"name": fields.get("name"), "metadata": _metadata(fields, "metadata")}
                self.world.customers[made["id"]] = made
            case "prices":
                price = self.world.add_price(
                    new("price"),
                    int(fields["unit_amount"]),
                    fields["currency"],
                    fields["recurring[interval]"],
                    fields["product"],
                )
                made = price
            case "checkout/sessions":
                made |= self._session(fields, live, origin)
                self.world.sessions[made["id"]] = made
            case _:
                customer = self._customer(fields)
                made |= {"id": new("bps"), "object": "billing_portal.session"}
                made |= {"customer": customer, "return_url": fields.get("return_url")}
                made["url"] = f"{origin}/portal/{made['id']}"
                self.world.portals[made["id"]] = made
        return made

    def _session(self, fields: dict[str, str], live: bool, origin: str) -> Object:
        price = fields["line_items[0][price]"]
        if price not in self.world.prices:
            raise missing("price", price, "line_items[0][price]", 400)
        id_ = new(f"cs_{'live' if live else 'test'}")
        return {
            "id": id_,
            "object": "checkout.session",
            "mode": fields["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "customer": self._customer(fields),
            "client_reference_id": fields.get("client_reference_id"),
            "success_url": fields["success_url"],
            "cancel_url": fields.get("cancel_url"),
            "subscription": None,
            "metadata": _metadata(fields, "metadata"),
            "expires_at": int(time.time()) + _LASTS_S,
            "url": f"{origin}/pay/{id_}",
            "sandbox_price": price,
            "sandbox_metadata": _metadata(fields, "subscription_data[metadata]"),
        }

    def _customer(self, fields: dict[str, str]) -> str:
        customer = fields.get("customer", "")
        if customer not in self.world.customers:
            raise missing("customer", customer, "customer", 400)
        return customer

    def _expire(self, id_: str) -> Object:
        session = self.world.sessions.get(id_)
        if session is None:
            raise missing("checkout.session", id_)
        if session["status"] != "open":
            text = f"Only Checkout Sessions with a status in [open] can be expired: {id_}"
            raise Refused(400, "", text)
        session.update(status="expired", url=None)
        return session

    async def checkout(self, request: Request) -> Response:
        """The page where a person pays, and what its buttons do."""
        session = self.world.sessions.get(request.path_params["session"])
        if session is None:
            return HTMLResponse("Não existe / No such page", 404)
        if request.method == "GET":
            return checkout_page(session, self.world.prices[session["sandbox_price"]])
        action = (await _form(request)).get("action")
        if action == "cancel" or session["status"] != "open":
            return RedirectResponse(session["cancel_url"] or session["success_url"], 303)
        self.world.pay(session, declined=action == "decline")
        self._notify(await self._entry(request))
        if action == "decline":
            return RedirectResponse(request.url.path, 303)
        target = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return RedirectResponse(target, 303)

    async def portal(self, request: Request) -> Response:
        """The page where a customer changes plan or cancels."""
        portal = self.world.portals.get(request.path_params["portal"])
        if portal is None:
            return HTMLResponse("Não existe / No such page", 404)
        own = [s for s in self.world.subscriptions.values() if s["customer"] == portal["customer"]]
        if request.method == "GET":
            return portal_page(portal, own, self.world.prices)
        form = await _form(request)
        if form.get("subscription") in {s["id"] for s in own}:
            self.world.step(form["subscription"], form["step"], form.get("price", ""))
            self._notify(await self._entry(request))
        return RedirectResponse(request.url.path, 303)

    async def live(self, request: Request) -> Response:
        """A turn of fate by hand: ``pay``, ``decline`` a page, or any step of a subscription.

        Answers the events it caused, whatever becomes of their delivery.
        """
        id_, step = request.path_params["id"], request.path_params["step"]
        body = await parsed_body(request)
        price = str(body.get("price", "")) if isinstance(body, dict) else ""
        try:
            if step in ("pay", "decline") and not id_.startswith("pi_"):
                session = self.world.sessions.get(id_)
                if session is None:
                    raise missing("checkout.session", id_)
                self.world.pay(session, declined=step == "decline")
            elif id_.startswith(("pi_", "re_")):
                self.intents.step(id_, step)
            else:
                self.world.step(id_, step, price)
        except Refused as refused:
            return JSONResponse({"error": refused.error}, refused.status)
        told = self._notify(await self._entry(request))
        return JSONResponse({"events": [shown(event) for event in told]})

    async def _entry(self, request: Request) -> Received:
        entry = self.recorder.open(
            self.name,
            request.method,
            request.url.path,
            shown_headers(request),
            await parsed_body(request),
        )
        entry.preview, entry.verdict, entry.status = entry.path, "accepted", 200
        return entry

    def _notify(self, entry: Received) -> list[Object]:
        told, config, knobs = self.world.take_told(), self.config.model_copy(), self.knobs
        sent = [event for event in told if not knobs.take_loss()]
        plan = [event for event in sent for _ in range(knobs.duplicates)]
        if knobs.reorder:
            plan.reverse()
        if config.webhook_url or config.accounts:
            self.callbacks.start(self._deliver(plan, config, knobs.status_delay_ms, entry))
        return told

    async def _deliver(
        self, plan: list[Object], config: StripeConfig, delay_ms: int, entry: Received
    ) -> None:
        for event in plan:
            await asyncio.sleep(delay_ms / 1000)
            own = config.accounts.get(event.get("sandbox_key", ""))
            url, secret = config.webhook_url, config.webhook_secret
            if own is not None:
                url, secret = own.webhook_url, own.webhook_secret
            if not url:
                continue
            body = json.dumps(shown(event), indent=2)  # pretty-printed, as the vendor sends it
            signature = sign(secret, body, int(time.time()))
            callback = Callback(event["type"], url, body, signature)
            entry.callbacks.append(callback)
            headers = {"content-type": "application/json", "stripe-signature": signature}
            await self.callbacks.deliver(callback, headers, config.attempts, config.retry_delay_ms)


async def _form(request: Request) -> dict[str, str]:
    body = await parsed_body(request)
    return {k: str(v) for k, v in body.items()} if isinstance(body, dict) else {}


def sign(secret: str, body: str, at: int) -> str:
    """``Stripe-Signature`` over the exact bytes."""
    mac = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def _subscriptions(world: World, fields: dict[str, str]) -> Object:
    wanted = fields.get("status", "")
    found = [
        shown(one)
        for one in reversed(world.subscriptions.values())
        if fields.get("customer") in (None, one["customer"])
        and (wanted == "all" or one["status"] == wanted or (not wanted and flag(one)))
    ]
    limit = int(fields.get("limit", "10"))
    return {
        "object": "list",
        "url": "/v1/subscriptions",
        "data": found[:limit],
        "has_more": len(found) > limit,
    }


def _metadata(fields: dict[str, str], prefix: str) -> Object:
    start = f"{prefix}["
    return {k[len(start) : -1]: v for k, v in fields.items() if k.startswith(start)}
