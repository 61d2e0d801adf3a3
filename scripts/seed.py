"""Plants the demo tenants: a pizzeria with two stores, a gift shop, the platform's own.

    python scripts/seed.py [--password SECRET] [--again]

Everybody logs in with the password of ``--password`` or DEV_PASSWORD. A second run finds the stamp
of the first and ends at once; when the seed itself has changed (or with ``--again``) what is
missing is added and nothing that exists is touched.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib
import os
import secrets
import sys
from pathlib import Path

import asyncpg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

_PLANTED = """
SELECT 1 FROM audit_entries a JOIN tenants t ON t.id = a.tenant_id
WHERE t.slug = 'largo' AND a.action = 'seed.planted' AND a.facts->>'fingerprint' = $1 LIMIT 1
"""


def fingerprint() -> str:
    """Changes when anything that is planted, or the way it is planted, changes."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "scripts" / "seeds").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


async def is_planted(url: str, mark: str) -> bool:
    """Whether this database holds this seed; no schema yet counts as no."""
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg://", "postgresql://"))
    try:
        return await connection.fetchval(_PLANTED, mark) is not None
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--password", default=os.environ.get("DEV_PASSWORD", ""))
    parser.add_argument("--again", action="store_true", help="look at every row, not at the stamp")
    parser.add_argument("--production", action="store_true", help="allow it where real shops live")
    given = parser.parse_args()
    if os.environ.get("ENVIRONMENT", "production") == "production" and not given.production:
        sys.exit("These are demo shops with a shared password: not planted in production.")
    mark = fingerprint()
    url = os.environ.get("DATABASE_URL", "")
    if url and not given.again and asyncio.run(is_planted(url, mark)):
        print("Demo tenants: nothing new")
        return
    password = given.password or secrets.token_urlsafe(12)
    # Only now: importing the product takes longer than all of the above.
    planting = importlib.import_module("scripts.seeds.tenants")
    print(asyncio.run(planting.main(password, mark)))
    if not given.password:
        print(f"Password of everybody new: {password}")


if __name__ == "__main__":
    main()
