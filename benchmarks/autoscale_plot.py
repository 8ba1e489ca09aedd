"""Nodes over time against the ideal, as SVG: one panel for each load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.autoscale_replay import DAY, STEP, Life

_WIDE, _HIGH, _LEFT, _TOP, _GAP = 860, 150, 46, 34, 46
_IDEAL: Final = "#c9d6df"
_NODES: Final = "#0b6e99"
_WAITS: Final = "#d1495b"


def picture(lives: Mapping[str, Life]) -> str:
    """The whole file."""
    height = _TOP + len(lives) * (_HIGH + _GAP)
    panels = [_panel(name, life, _TOP + at * (_HIGH + _GAP)) for at, (name, life) in enumerate(lives.items())]
    legend = "".join(
        f'<rect x="{x}" y="8" width="14" height="10" fill="{colour}"/><text x="{x + 20}" y="17">{words}</text>'
        for x, colour, words in ((_LEFT, _IDEAL, "ideal"), (130, _NODES, "nodes"), (210, _WAITS, "work waits"))
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDE + 20} {height}" '
        'font-family="sans-serif" font-size="12" fill="#333" role="img">'
        "<title>Nodes over a day under autoscaling, against the ideal</title>"
        f'<rect width="100%" height="100%" fill="#fff"/>'
    )
    return "\n".join([head, legend, *panels, "</svg>"]) + "\n"


def _panel(name: str, life: Life, top: float) -> str:
    most = max(*life.nodes, *life.ideal, 1)
    ticks = "".join(
        f'<text x="{_LEFT - 8}" y="{_y(value, most, top) + 4:.0f}" text-anchor="end">{value}</text>'
        f'<line x1="{_LEFT}" x2="{_LEFT + _WIDE}" y1="{_y(value, most, top):.1f}" y2="{_y(value, most, top):.1f}" '
        'stroke="#eee"/>'
        for value in (0, round(most / 2), most)
    )
    hours = "".join(
        f'<text x="{_x(hour * 3600 / STEP):.0f}" y="{top + _HIGH + 16}" text-anchor="middle">{hour} h</text>'
        for hour in range(0, 25, 4)
    )
    area = f"M{_LEFT},{top + _HIGH} {_line(life.ideal, most, top)} L{_LEFT + _WIDE},{top + _HIGH} Z"
    waits = "".join(
        f'<rect x="{_x(begin):.1f}" y="{top + _HIGH - 4}" width="{max(1.0, _x(end) - _x(begin)):.1f}" height="4" '
        f'fill="{_WAITS}"/>'
        for begin, end in _runs(life.waiting)
    )
    line = f"M{_line(life.nodes, most, top)[1:]}"
    return (
        f'<text x="{_LEFT}" y="{top - 4}" font-weight="bold">{name}</text>{ticks}{hours}<path d="{area}" '
        f'fill="{_IDEAL}"/><path d="{line}" fill="none" stroke="{_NODES}" stroke-width="1.6"/>{waits}'
    )


def _line(values: Sequence[int], most: int, top: float) -> str:
    """Steps, with a point only where the value changes."""
    points: list[tuple[int, int]] = []
    last: int | None = None
    for at, value in enumerate(values):
        if value != last:
            points += [(at, last)] if last is not None else []
            points.append((at, value))
            last = value
    points.append((len(values), values[-1]))
    return "L" + " ".join(f"{_x(at):.1f},{_y(value or 0, most, top):.1f}" for at, value in points)


def _runs(waiting: Sequence[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for at, number in enumerate(waiting):
        if number and found and found[-1][1] == at:
            found[-1] = (found[-1][0], at + 1)
        elif number:
            found.append((at, at + 1))
    return found


def _x(at: float) -> float:
    return _LEFT + _WIDE * at * STEP / DAY


def _y(value: float, most: int, top: float) -> float:
    return top + _HIGH - _HIGH * value / most
