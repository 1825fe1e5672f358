"""The report: a JSON file with the numbers, and a page whose tables and pictures are made of it.

The page is written by hand but for the parts between `<!-- bench NAME -->` and `<!-- end -->`,
which are replaced. A run of some scenarios replaces just theirs; each says when it was run.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.plots import draw
from bench.results import Result
from bench.scenarios import SCENARIOS
from bench.scenarios.scenario import Scenario
from bench.systems import TITLES
from bench.tables import as_markdown, rows

_PAGE: Final = "performance.md"
_FOLDER: Final = "performance"
_PART: Final = re.compile(r"(<!-- bench (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class Report:
    """The report in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folder = directory / _FOLDER
        self._file = self._folder / "results.json"
        self._scenarios: dict[str, Any] = {}
        if self._file.exists():
            self._scenarios = json.loads(self._file.read_text())

    @property
    def page(self) -> Path:
        """The page."""
        return self._directory / _PAGE

    def add(
        self, scenario: Scenario, results: Sequence[Result], conditions: Mapping[str, str]
    ) -> None:
        """Take the results of a scenario in place of older ones, and save them."""
        self._scenarios[scenario.name] = {
            "conditions": dict(conditions),
            "results": [asdict(result) for result in results],
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._scenarios, indent=1, ensure_ascii=False) + "\n")

    def write(self) -> None:
        """Bring the page and its pictures up to date."""
        page = self.page.read_text() if self.page.exists() else _bare_page()
        self.page.write_text(_PART.sub(self._part, page))

    def _part(self, match: re.Match[str]) -> str:
        name = match["name"]
        if name == "conditions":
            content = self._conditions()
        elif name in self._scenarios and name in SCENARIOS:
            content = self._section(SCENARIOS[name])
        else:
            content = "Not run yet.\n"
        return f"{match[1]}\n{content}\n{match[3]}"

    def _conditions(self) -> str:
        """Return the conditions of the scenario that was run last."""
        if not self._scenarios:
            return "Not run yet.\n"
        latest = max((it["conditions"] for it in self._scenarios.values()), key=lambda c: c["date"])
        lines = [f"| {key} | {value} |" for key, value in latest.items()]
        return "\n".join(["| | |", "|---|---|", *lines, ""])

    def _section(self, scenario: Scenario) -> str:
        found = self._scenarios[scenario.name]
        results = [Result(**it) for it in found["results"]]
        failures = [f"{it.system}, {it.case}: {it.failed}" for it in results if it.failed]
        pictures = [
            f"![{plot.title}]({_FOLDER}/{plot.file}.svg)\n"
            for plot in scenario.plots
            if draw(plot, results, TITLES, self._folder / f"{plot.file}.svg")
        ]
        ran = f"{found['conditions']['date']}, revision {found['conditions']['revision']}."
        return "\n".join(
            [
                f"{scenario.about}\n",
                *pictures,
                as_markdown(rows(results, TITLES)) + "\n",
                *(f"Failed: {failure}\n" for failure in failures),
                f"{ran}\n",
            ]
        )


def _bare_page() -> str:
    """Return a page for a report that is not the one in docs/."""
    parts = [("Conditions", "conditions"), *((it.title, it.name) for it in SCENARIOS.values())]
    return "# Performance\n" + "".join(
        f"\n## {title}\n\n<!-- bench {name} -->\n<!-- end -->\n" for title, name in parts
    )
