"""What was measured, as tables for a person and as JSON for a program, and who passed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.benchmarks.load import Answers
from scripts.benchmarks.servers import Cost

NOISY = 0.3
"""Cores used by strangers from which on a figure is marked; ratios suffer less than figures."""
CLIENT_LIMIT = 0.95


@dataclass(frozen=True)
class Round:
    """One stretch of one contender."""

    answers: Answers
    cost: Cost

    @property
    def server_us(self) -> float:
        return self.cost.server / max(1, self.answers.sent) * 1e6

    @property
    def postgres_us(self) -> float:
        return self.cost.postgres / max(1, self.answers.sent) * 1e6


@dataclass
class Series:
    """All rounds of one contender; figures are medians over them."""

    name: str
    rounds: list[Round] = field(default_factory=list)

    def median(self, figure: Callable[[Round], float]) -> float:
        return statistics.median(figure(round_) for round_ in self.rounds)

    @property
    def per_second(self) -> float:
        return self.median(lambda r: r.answers.per_second)

    @property
    def p99_ms(self) -> float:
        return self.median(lambda r: r.answers.p99_ms)

    @property
    def trouble(self) -> str:
        """Why the figures of this contender do not count; empty when they do."""
        refused = sum(r.answers.refused for r in self.rounds)
        lost = sum(r.answers.lost for r in self.rounds)
        if refused or lost or not any(r.answers.completed for r in self.rounds):
            sample = next((r.answers.sample for r in self.rounds if r.answers.sample), "")
            return f"{refused} refused, {lost} lost. {sample}".strip()
        return ""

    def line(self) -> list[str]:
        """The cells of its line in the table of figures."""
        share = self.median(lambda r: r.answers.client_share)
        foreign = self.median(lambda r: r.cost.foreign)
        rates = [r.answers.per_second for r in self.rounds]
        return [
            self.name,
            f"{self.per_second:.0f}",
            f"{min(rates):.0f}-{max(rates):.0f}",
            f"{self.median(lambda r: r.answers.p50_ms):.2f}",
            f"{self.p99_ms:.2f}",
            f"{self.median(lambda r: r.server_us):.0f}",
            f"{self.median(lambda r: r.postgres_us):.0f}",
            f"{share:.2f}{' limit' if share >= CLIENT_LIMIT else ''}",
            f"{foreign:.2f}{' noisy' if foreign >= NOISY else ''}",
        ]


@dataclass(frozen=True)
class Gate:
    """One comparison; ``bound`` None: told, not judged."""

    name: str
    ours: float
    yardstick: float | None
    ratio: float
    bound: float | None
    at_least: bool = True
    unit: str = ""
    trouble: str = ""

    @property
    def passed(self) -> bool:
        if self.trouble:
            return False
        if self.bound is None:
            return True
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound

    def line(self) -> list[str]:
        """The cells of its line in the table of ratios."""
        sign = ">=" if self.at_least else "<="
        verdict = "" if self.bound is None and not self.trouble else "ok" if self.passed else "FAIL"
        return [
            self.name,
            f"{self.ours:.4g}{self.unit}",
            f"{self.yardstick:.4g}{self.unit}" if self.yardstick is not None else "",
            f"{self.ratio:.2f}" if self.yardstick is not None else "",
            f"{sign} {self.bound:.4g}" if self.bound is not None else "",
            verdict,
        ]


def paired(ours: Series, yardstick: Series, figure: Callable[[Round], float]) -> float:
    """The median over rounds of ours by theirs: neighbours in time share the machine's mood."""
    pairs = zip(ours.rounds, yardstick.rounds, strict=True)
    ratios = [figure(mine) / base for mine, other in pairs if (base := figure(other)) > 0]
    return statistics.median(ratios) if ratios else 0.0


def compare(
    name: str,
    ours: Series,
    yardstick: Series,
    figure: Callable[[Round], float],
    *,
    bound: float | None = None,
    at_least: bool = True,
    unit: str = "",
) -> Gate:
    """Ours against the yardstick by one figure of a round."""
    ratio = paired(ours, yardstick, figure)
    trouble = " ".join(f"{s.name}: {s.trouble}" for s in (ours, yardstick) if s.trouble)
    values = ours.median(figure), yardstick.median(figure)
    return Gate(name, *values, ratio, bound, at_least, unit, trouble)


FIGURES = [
    "contender",
    "req/s",
    "rounds",
    "p50 ms",
    "p99 ms",
    "app us",
    "pg us",
    "client",
    "foreign",
]
RATIOS = ["comparison", "ours", "yardstick", "ratio", "gate", "verdict"]


def tables(series: Sequence[Series], gates: Sequence[Gate]) -> str:
    """Both tables and what is to be said about them."""
    parts = []
    if series:
        parts.append(_table(FIGURES, [s.line() for s in series]))
        parts.append(
            "us: CPU microseconds per request of the server and of Postgres · client: cores the"
            " load generator used\nforeign: cores that programs of others used meanwhile"
        )
    parts.append(_table(RATIOS, [gate.line() for gate in gates]))
    troubles = {gate.trouble: None for gate in gates if gate.trouble}
    parts.extend(troubles)
    return "\n\n".join(parts)


def _table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    printed = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([printed[0], "-" * len(printed[0]), *printed[1:]])


def save(
    path: Path, about: dict[str, str], series: Sequence[Series], gates: Sequence[Gate]
) -> None:
    """Write everything, each round included, as JSON."""
    found = {
        "about": about,
        "series": [asdict(s) for s in series],
        "gates": [{**asdict(gate), "passed": gate.passed} for gate in gates],
    }
    path.write_text(json.dumps(found, indent=1) + "\n")
