"""Seal every stored secret with the first of ENCRYPTION_KEYS: ``python -m app.rotate_keys``.

To retire a key: put the new key LAST in ENCRYPTION_KEYS and restart every process (now all of them
can read it), put it FIRST and restart again (now it seals), run this, and when it says that
nothing is left take the old key out. It may be stopped at any moment and started again, and the
application may run meanwhile. Exit code 1: something still hangs on an older key.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TextIO

from tqdm import tqdm

from app import tables
from app.core.crypto import Vault
from app.core.database import Database
from app.core.settings import Settings, settings
from app.kernel.resealing import count_old, reseal_all


async def execute(config: Settings, out: TextIO) -> int:
    """Reseal everything; the exit code."""
    database, vault = Database(config.database_url), Vault(config.encryption_keys)
    try:
        total = await count_old(database, vault, tables.SEALED)
        out.write(f"{total:,} rows to seal with key {vault.first!r}\n")
        with tqdm(total=total, unit=" rows", file=out, mininterval=1) as bar:
            told = await reseal_all(database, vault, tables.SEALED, bar.update)
    finally:
        await database.close()
    out.write(f"sealed {told.moved:,}, {told.left:,} left\n")
    if told.unreadable:
        out.write(
            f"{told.unreadable:,} rows open with no key of the ring: bring their key back into "
            "ENCRYPTION_KEYS, or enter those secrets again.\n"
        )
    elif told.left:
        out.write("Somebody wrote with an older key meanwhile: run this again.\n")
    return 1 if told.left else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(execute(settings(), sys.stdout)))
