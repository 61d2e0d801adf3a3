"""A cron line in Portuguese, for whoever set it to see that it says what she meant; no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_DAYS = ("domingo", "segunda", "terça", "quarta", "quinta", "sexta", "sábado")
_MONTHS = (
    "janeiro", "fevereiro", "março", "abril", "maio", "junho",
    "julho", "agosto", "setembro", "outubro", "novembro", "dezembro",
)  # fmt: skip
_DAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTH_NAMES = (
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
)  # fmt: skip
_ORDINALS = ("primeir", "segund", "terceir", "quart", "quint")
_MOST_TIMES = 6
Name = Callable[[int], str]


def explained(cron: str) -> str:
    """``0 7 * * 1-6`` is "Às 07:00, de segunda a sábado". The line is one that we run."""
    minute, hour, day, month, weekday = cron.upper().split()
    weekday = _numbered(weekday, _DAY_NAMES, 0)
    month = _numbered(month, _MONTH_NAMES, 1)
    parts = [_time(minute, hour), _days(day, weekday)]
    if not month.startswith("*"):
        named = _items(month, lambda n: _MONTHS[n - 1])
        parts.append(named if named.startswith(("de ", "a partir")) else f"em {named}")
    elif month != "*":
        parts.append(f"a cada {month[2:]} meses")
    found = ", ".join(part for part in parts if part)
    return found[0].upper() + found[1:]


def _numbered(field: str, names: Sequence[str], first: int) -> str:
    for number, name in enumerate(names, first):
        field = field.replace(name, str(number))
    return field


def _time(minute: str, hour: str) -> str:
    minutes, hours = _numbers(minute), _numbers(hour)
    if minutes and hours and len(minutes) * len(hours) <= _MOST_TIMES:
        times = sorted(f"{h:02}:{m:02}" for h in hours for m in minutes)
        return f"{'à' if times == ['01:00'] else 'às'} {_listed(times)}"
    every = _every(minute, "minutos")
    if hour == "*":
        if minutes == [0]:
            return "de hora em hora"
        return every or f"de hora em hora, {_place('no minuto', 'nos minutos', minute)}"
    when = _every(hour, "horas") or _place("na hora", "nas horas", hour)
    if minutes == [0]:
        return when
    return f"{every or _place('no minuto', 'nos minutos', minute)}, {when}"


def _every(field: str, unit: str) -> str:
    step = re.fullmatch(r"\*(?:/(\d+))?", field)
    if step is None:
        return ""
    return f"a cada {step[1]} {unit}" if step[1] else f"em todos os {unit}"


def _days(day: str, weekday: str) -> str:
    if day.startswith("*") and weekday.startswith("*"):
        steps = [_every(f, "dias") for f in (day, weekday) if "/" in f]
        return " e ".join(filter(None, steps)) or "todos os dias"
    named = [_monthdays(day)] if not day.startswith("*") else []
    if not weekday.startswith("*"):
        named.append(_weekdays(weekday))
    # Cron takes either when both are given, and both when one begins with a star.
    limits = [_every(f, "dias") for f in (day, weekday) if re.match(r"\*/", f)]
    found = [" ou ".join(filter(None, named)), *limits]
    return " e ".join(filter(None, found)) or "todos os dias"


def _monthdays(field: str) -> str:
    if field == "L":
        return "no último dia do mês"
    if field == "LW":
        return "no último dia útil do mês"
    return _place("no dia", "nos dias", field)


def _weekdays(field: str) -> str:
    found = []
    for item in field.split(","):
        if item == "L":
            item = "6"
        one = re.fullmatch(r"(\d)(?:#(\d)|(L))", item)
        if one is None:
            found.append(_items(item, _weekday, before="na" if _weekday(item) != item else ""))
        elif one[3]:
            found.append(_of_month("últim", int(one[1])))
        else:
            found.append(_of_month(_ORDINALS[int(one[2]) - 1], int(one[1])))
    return _listed(found)


def _weekday(number: int | str) -> str:
    return _DAYS[int(number) % 7] if str(number).isdecimal() else str(number)


def _of_month(which: str, number: int) -> str:
    is_his = _DAYS[number % 7] in ("domingo", "sábado")
    ending, at = ("o", "no") if is_his else ("a", "na")
    return f"{at} {which}{ending} {_DAYS[number % 7]} do mês"


def _place(one: str, many: str, field: str) -> str:
    return f"{one if field.isdecimal() else many} {_items(field, str)}"


def _items(field: str, name: Name, before: str = "") -> str:
    """Numbers, ranges and steps of a field, named."""
    return _listed([_item(item, name, before) for item in field.split(",")])


def _item(item: str, name: Name, before: str) -> str:
    span, _, step = item.partition("/")
    first, _, last = span.partition("-")
    if not last:
        if span.isdecimal() and not step:
            named = name(int(span))
            his = named in ("domingo", "sábado")
            return f"{'no' if his else before} {named}" if before else named
        found = span if not span.isdecimal() else f"a partir de {name(int(first))}"
    else:
        found = f"de {name(int(first))} a {name(int(last))}"
    return f"{found}, de {step} em {step}" if step else found


def _numbers(field: str) -> list[int]:
    items = field.split(",")
    return [int(item) for item in items] if all(item.isdecimal() for item in items) else []


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} e {words[-1]}" if len(words) > 1 else words[0]
