"""A cron line in words: right for what people write, and never an error for what we run."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.kernel.schedules.rules import BadCron, check_cron
from app.kernel.schedules.words import explained
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.queue_probe import system
from tests.kernel.schedule_probe import REPORT, make

URL = "/api/v1/admin/schedules"


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 7 * * 1-6", "Às 07:00, de segunda a sábado"),
        ("0 1 * * *", "À 01:00, todos os dias"),
        ("*/5 * * * *", "A cada 5 minutos, todos os dias"),
        ("0 * * * *", "De hora em hora, todos os dias"),
        ("15 * * * *", "De hora em hora, no minuto 15, todos os dias"),
        ("0 */2 * * *", "A cada 2 horas, todos os dias"),
        ("30 6,18 * * mon,WED,sun", "Às 06:30 e 18:30, na segunda, na quarta e no domingo"),
        ("*/15 8-18 * * 1-5", "A cada 15 minutos, nas horas de 8 a 18, de segunda a sexta"),
        ("0 0 1,15 1-3 *", "Às 00:00, nos dias 1 e 15, de janeiro a março"),
        ("0 0 1 JAN,JUL *", "Às 00:00, no dia 1, em janeiro e julho"),
        ("0 0 L * *", "Às 00:00, no último dia do mês"),
        ("0 0 LW * *", "Às 00:00, no último dia útil do mês"),
        ("0 9 * * 5#2", "Às 09:00, na segunda sexta do mês"),
        ("0 9 * * 0L", "Às 09:00, no último domingo do mês"),
        ("0 0 13 * 5", "Às 00:00, no dia 13 ou na sexta"),
        ("0 0 */2 * 1", "Às 00:00, na segunda e a cada 2 dias"),
    ],
)
def test_what_people_write_is_said_in_words(cron: str, words: str) -> None:
    check_cron(cron)
    assert explained(cron) == words


def _field(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda p: f"{min(p)}-{max(p)}")
    step = st.tuples(st.sampled_from(["*"]) | span | number.map(str), st.integers(1, 30)).map(
        lambda p: f"{p[0]}/{p[1]}"
    )
    one = number.map(str) | span | step | st.sampled_from(["*", *more])
    return st.lists(one, min_size=1, max_size=3).map(",".join)


_LINE = st.tuples(
    _field(0, 59), _field(0, 23), _field(1, 31, "L", "LW"),
    _field(1, 12, "jan", "DEC"), _field(0, 7, "L", "1#2", "6L", "sun"),
).map(" ".join)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # most made-up lines never come
@given(_LINE)
def test_every_line_that_runs_has_words(cron: str) -> None:
    try:
        check_cron(cron)
    except BadCron:
        assume(False)
    words = explained(cron)
    assert len(words) > 5
    assert "  " not in words
    assert ", ," not in words


async def test_a_schedule_says_what_it_means_and_when_it_comes(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    body = {"name": "Estoque", "cron": "0 7 * * 1-6", "entrypoint": REPORT}
    made = (await owner.post(URL, json=body)).json()
    assert made["explanation"] == "Às 07:00, de segunda a sábado"
    times = [datetime.fromisoformat(at) for at in made["next_times"]]
    assert len(times) == 5
    assert all(a < b for a, b in pairwise(times))
    assert {(t.hour, t.minute) for t in times} == {(7, 0)}, "in its own time zone"
    assert datetime.fromisoformat(made["next_at"]) == times[0]
    assert (await owner.get(f"{URL}/{made['id']}")).json()["next_times"] == made["next_times"]
    paused = (await owner.post(f"{URL}/{made['id']}/pause")).json()
    assert paused["next_times"] == []
    shown = (await owner.get(f"{URL}/preview", params={"cron": "0 0 L * *"})).json()
    assert shown["explanation"] == "Às 00:00, no último dia do mês"
    broken = await make(world, name="quebrado")
    for damage in ("timezone = 'Nowhere/Gone'", "cron = 'x'"):
        await system(runtime, f"UPDATE schedules SET {damage} WHERE id = $1", broken)  # noqa: S608
        read = await owner.get(f"{URL}/{broken}")
        assert (read.status_code, read.json()["next_times"]) == (200, [])
