"""``./scripts/bench``: the door to scripts/benchmarks, which measures our hot routes."""

from __future__ import annotations

import sys

from scripts.benchmarks.main import main
from scripts.local.console import Failed

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failure:
        sys.exit(f"\n{failure}")
