"""What a benchmark found: a figure, the floor beside it, and the ratio that the documentation promises."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """A rate and its floor in the same unit. `ratio` is value / floor; times turn it round, so more is better."""

    name: str
    value: float
    floor: float
    unit: str
    floor_name: str
    at_least: float
    again: str
    lower_is_better: bool = False
    target: float | None = None  # in the unit, on the two cores that it is stated for: shown, and judged by nobody

    @property
    def ratio(self) -> float:
        """How the figure stands to its floor; 1 is as good as the floor."""
        return self.floor / self.value if self.lower_is_better else self.value / self.floor

    @property
    def holds(self) -> bool:
        """Whether the documented ratio is reached."""
        return self.ratio >= self.at_least

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "holds": self.holds}


def print_table(figures: list[Figure]) -> None:
    """The figures for people."""
    table = Table(title="Benchmarks: ratios to a floor measured in the same run")
    for column, side in (
        ("what", "left"),
        ("measured", "right"),
        ("floor", "right"),
        ("ratio", "right"),
        ("at least", "right"),
        ("target", "right"),
        ("the floor is", "left"),
        ("again", "left"),
    ):
        table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
    for figure in figures:
        colour = "green" if figure.holds else "red"
        table.add_row(
            figure.name,
            f"{_readable(figure.value)} {figure.unit}",
            f"{_readable(figure.floor)} {figure.unit}",
            f"[{colour}]{figure.ratio:.2f}[/]",
            f"{figure.at_least:.2f}",
            "" if figure.target is None else f"{'<=' if figure.lower_is_better else '>='} {figure.target:,.0f}",
            figure.floor_name,
            figure.again,
        )
    Console(width=170).print(table)


def _readable(value: float) -> str:
    return f"{value:,.1f}" if value >= 1 else f"{value:.3f}"
