"""STOP and START words, and what the ledger permits: tables of cases and a property."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.ids import new_id
from app.kernel.consents.rules import START_WORDS, STOP_WORDS, Entry, permission, wish_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

STOPS = (
    "PARAR", "parar", "Pare!", " sair ", "SAIR.", "Não quero mais", "NAO QUERO RECEBER",
    "Stop", "STOP!!!", "🛑 stop 🛑", "unsubscribe", "Opt-out", "stop, please", "por favor, parar",
    "Baja", "BAJA.", "no quiero más", "salir", "Dar de baja", "parar por favor", "pare  de\nenviar",
    "¡Alto!", "descadastrar", "oi, quero sair", "*PARAR*", "_parar_", "~Stop~",
)  # fmt: skip
STARTS = ("START", "quero receber", "Voltar a receber", "unstop", "Quiero recibir!", "opt in")
NEITHER = (
    "", "   ", "...", "🙂", "pode parar na esquina?", "quero parar o pedido na portaria",
    "não para de chover", "cancelar", "cancelar meu pedido", "cancel", "stop by at 7pm",
    "vou sair agora, entrega às 8?", "sair do grupo da família é difícil", "baja el precio?",
    "end of the street", "parar " * 50, "STOP" * 100, "não", "sim", "ok", "remover cebola",
    "quero receber às 20h", "começar",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        *((t, "stop") for t in STOPS), *((t, "start") for t in STARTS),
        *((t, None) for t in NEITHER),
    ],
)  # fmt: skip
def test_words(text: str, wish: str | None) -> None:
    assert wish_of(text) == wish


def test_every_word_of_the_tables_is_heard_in_any_case() -> None:
    assert not STOP_WORDS & START_WORDS
    for words, wish in ((STOP_WORDS, "stop"), (START_WORDS, "start")):
        for word in words:
            assert wish_of(f" {word.upper()}! ") == wish, word


@given(st.text(max_size=60))
def test_any_text_is_judged_and_stays_what_it_is(text: str) -> None:
    assert wish_of(text) == wish_of(f"  {text}  ")


def entry(category: str, *, is_opt_in: bool, hours: int = 0, channel: str = "whatsapp") -> Entry:
    return Entry(new_id(), channel, category, is_opt_in, NOON + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("entries", "category", "is_allowed", "reason"),
    [
        ((), "marketing", False, "not-opted-in"),
        ((), "utility", True, "not-opted-out"),
        ((), "service", True, "asked-for"),
        ((entry("all", is_opt_in=False),), "service", True, "asked-for"),
        ((entry("all", is_opt_in=False),), "authentication", True, "asked-for"),
        ((entry("marketing", is_opt_in=True),), "marketing", True, "opted-in"),
        ((entry("marketing", is_opt_in=True),), "utility", True, "not-opted-out"),
        ((entry("marketing", is_opt_in=False),), "utility", True, "not-opted-out"),
        ((entry("all", is_opt_in=False),), "utility", False, "opted-out"),
        (
            (entry("marketing", is_opt_in=True), entry("all", is_opt_in=False, hours=1)),
            "marketing", False, "opted-out",
        ),
        (
            (entry("marketing", is_opt_in=True, hours=2), entry("all", is_opt_in=False, hours=1)),
            "marketing", True, "opted-in",
        ),
        (
            (entry("marketing", is_opt_in=True, channel="email"),),
            "marketing", False, "not-opted-in",
        ),
    ],
)  # fmt: skip
def test_permission(
    entries: tuple[Entry, ...], category: str, is_allowed: bool, reason: str
) -> None:
    found = permission(entries, "whatsapp", category, is_blocked=False)
    assert (found.is_allowed, found.reason) == (is_allowed, reason)
    blocked = permission(entries, "whatsapp", category, is_blocked=True)
    assert (blocked.is_allowed, blocked.reason) == (False, "blocked")


_ENTRIES = st.lists(
    st.builds(
        entry,
        st.sampled_from(["marketing", "utility", "all"]),
        is_opt_in=st.booleans(),
        hours=st.integers(0, 5),
        channel=st.sampled_from(["whatsapp", "email"]),
    ),
    max_size=8,
)


@given(_ENTRIES, st.sampled_from(["marketing", "utility"]), st.randoms())
def test_the_order_of_lines_does_not_matter_and_a_last_stop_always_holds(
    entries: list[Entry], category: str, random: object
) -> None:
    found = permission(entries, "whatsapp", category, is_blocked=False)
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert permission(shuffled, "whatsapp", category, is_blocked=False) == found
    stopped = [*entries, entry("all", is_opt_in=False, hours=6)]
    assert not permission(stopped, "whatsapp", category, is_blocked=False).is_allowed
