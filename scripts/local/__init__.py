"""The two commands, ``./scripts/dev`` and ``./scripts/test``: packages, services, settings."""
