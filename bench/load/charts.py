"""Lines in SVG, drawn by numbers alone: no script, no other host, colours by the page's own variables."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 30
_COLOURS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """Points in order; those whose y is NaN are left out, with the line broken there."""

    name: str
    points: Sequence[tuple[float, float]]


def chart(
    lines: Sequence[Line], *, x_name: str, y_name: str, labels: Sequence[tuple[float, str]] = ()
) -> str:
    """An inline SVG. `labels` are places on the x axis, when these are not plain numbers."""
    xs = [x for line in lines for x, y in line.points if not math.isnan(y)]
    ys = [y for line in lines for _, y in line.points if not math.isnan(y)]
    if not xs:
        return "<p>Nothing was counted.</p>"
    low, high = min(xs), max(*xs, min(xs) + 1e-9)
    top = _round_up(max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - low) / (high - low) * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - y / top * (HEIGHT - _TOP - _BOTTOM),
        )

    title = html.escape(f"{y_name} by {x_name}")
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">']
    for step in range(5):
        value = top * step / 4
        _, y = place(low, value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>')
    for at, label in labels or [(low + (high - low) * step / 6, "") for step in range(7)]:
        x, _ = place(at, 0)
        text = html.escape(label) or short(at)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{text}</text>')
    for number, line in enumerate(lines):
        parts.append(f'<path class="line c{number % _COLOURS}" d="{_path(line, place)}"/>')
    parts.append("</svg>")
    names = "".join(
        f'<span class="c{number % _COLOURS}">{html.escape(line.name)}</span>'
        for number, line in enumerate(lines)
    )
    return f"<figure>{''.join(parts)}<figcaption>{html.escape(y_name)} {names}</figcaption></figure>"


def short(value: float) -> str:
    """A number in few characters."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _path(line: Line, place: Callable[[float, float], tuple[float, float]]) -> str:
    steps, move = [], "M"
    for x, y in line.points:
        if math.isnan(y):
            move = "M"
            continue
        at_x, at_y = place(x, y)
        steps.append(f"{move}{at_x:.1f} {at_y:.1f}")
        move = "L"
    return "".join(steps)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 10 and so on."""
    if value <= 0:
        return 1.0
    power: float = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10) if step * power >= value)
