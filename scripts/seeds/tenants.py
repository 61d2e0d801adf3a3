"""Every demo tenant, and planting them all."""

from __future__ import annotations

from collections import Counter

from app.core.settings import settings
from app.kernel.work import Runtime
from app.worker import build_runtime, close_runtime
from scripts.seeds.bella_massa import BELLA_MASSA
from scripts.seeds.blueprint import Blueprint, Person
from scripts.seeds.planting import plant, plant_areas, plant_prices, stamp
from scripts.seeds.postal_areas import AREAS
from scripts.seeds.presentes_da_lu import PRESENTES_DA_LU

LARGO = Blueprint(
    slug="largo",
    name="Largo",
    people=(Person("root@largo.example", "Administração Largo", "owner"),),
    is_super_admin=True,
)
PLANS = (LARGO, BELLA_MASSA, PRESENTES_DA_LU)


async def plant_all(runtime: Runtime, password: str, fingerprint: str) -> Counter[str]:
    """Plant every tenant; what was new, by table."""
    hashed = await runtime.passwords.hash(password)
    added: Counter[str] = Counter()
    for plan in PLANS:
        added += await plant(runtime, plan, hashed)
    added["postal_areas"] += await plant_areas(runtime, AREAS)
    added["prices"] += await plant_prices(runtime)
    # Last: a seed that was cut short has no stamp and is planted again.
    await stamp(runtime, LARGO.slug, fingerprint)
    return +added


async def main(password: str, fingerprint: str) -> str:
    """Plant with this process's settings; one line that says what was new."""
    runtime = build_runtime(settings())
    try:
        added = await plant_all(runtime, password, fingerprint)
    finally:
        await close_runtime(runtime)
    if not added:
        return "Demo tenants: nothing new"
    return "Demo tenants: " + ", ".join(f"{n} {table}" for table, n in sorted(added.items()))
