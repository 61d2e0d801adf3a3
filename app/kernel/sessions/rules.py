"""What a session's device is called, from what its browser says of itself."""

from __future__ import annotations

# The first that is found wins: Edge also says Chrome, Chrome also says Safari.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


def device_label(given: str | None, user_agent: str | None) -> str | None:
    """The name the client gave, else one such as ``Chrome no Android``; None says nothing."""
    if given:
        return given[:80]
    said = user_agent or ""
    program = next((name for sign, name in _PROGRAMS if sign in said), None)
    system = next((name for sign, name in _SYSTEMS if sign in said), None)
    if program and system:
        return f"{program} no {system}"
    # Programs name themselves first (RFC 9110 §10.1.5).
    return program or system or said.partition("/")[0].strip()[:80] or None
