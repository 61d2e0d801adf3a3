"""Programs that act on customers report first, and act with --apply, tenant by tenant."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator

from sqlalchemy import select

from app.kernel.tenants.models import Tenant
from app.kernel.work import Runtime, WorkFactory, system_work
from scripts.imports.terminal import Arguments, works_of


def tenant_arguments(about: str) -> Arguments:
    """--tenant SLUG or --all-tenants, and --apply."""
    parser = Arguments(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--tenant", metavar="SLUG", help="whose customers")
    whose.add_argument("--all-tenants", action="store_true", help="everybody's, one by one")
    parser.add_argument("--apply", action="store_true", help="act; without it, only report")
    return parser


async def each_tenant(
    runtime: Runtime, given: argparse.Namespace
) -> AsyncIterator[tuple[str, WorkFactory]]:
    """The tenants that the arguments name, each with what opens its Works. Raises Refused."""
    slugs = [given.tenant]
    if given.all_tenants:
        async with system_work(runtime) as session:
            slugs = list(await session.scalars(select(Tenant.slug).order_by(Tenant.slug)))
    for slug in slugs:
        yield slug, await works_of(runtime, slug)
