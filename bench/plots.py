"""Pictures of results, as SVG that looks the same whenever it is made from the same numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.results import Result
from bench.scenarios.scenario import Plot

_STYLES: Final = {
    "grpc": ("#0b6e4f", "o"),
    "grpc-direct": ("#5fb49c", "P"),
    "tcp": ("#3fa34d", "s"),
    "baseline": ("#9a9a9a", "x"),
    "nats": ("#2f6fde", "^"),
    "mosquitto": ("#b8336a", "v"),
    "ngircd": ("#d98324", "D"),
}
_OTHER: Final = ("#000000", ".")


def draw(plot: Plot, results: Sequence[Result], titles: dict[str, str], path: Path) -> bool:
    """Draw a line for each system; returns whether there was anything to draw."""
    shown = [it for it in results if _belongs(it, plot)]
    if len({it.x for it in shown}) < 2:
        return False
    mpl.rcParams.update({"svg.hashsalt": plot.file, "svg.fonttype": "none"})
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for system in dict.fromkeys(it.system for it in shown):
        _line(axes, system, titles[system], [it for it in shown if it.system == system], plot)
    _dress(axes, plot, sorted({it.x for it in shown}))
    figure.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
    return True


def _belongs(result: Result, plot: Plot) -> bool:
    case = result.case
    return case.startswith(plot.case) and case.endswith(plot.end) and plot.metric in result.values


def _line(axes: Axes, system: str, title: str, results: Sequence[Result], plot: Plot) -> None:
    colour, marker = _STYLES.get(system, _OTHER)
    points = sorted((it.x, it.values[plot.metric]) for it in results)
    ours = title.startswith("chat-service")
    axes.plot(
        *zip(*points, strict=True),
        label=title,
        color=colour,
        marker=marker,
        linewidth=2.4 if ours else 1.4,
    )


def _dress(axes: Axes, plot: Plot, ticks: Sequence[float]) -> None:
    axes.set_title(plot.title, loc="left", fontsize=11)
    axes.set_xlabel(plot.x_label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(_plainly))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _plainly(value: float, _place: int) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
