"""The command line: which scenarios, which systems, how long, and where the report goes."""

import argparse
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.conditions import conditions
from bench.report import Report
from bench.results import Result
from bench.scenarios import SCENARIOS
from bench.scenarios.scenario import Bench, Scenario
from bench.systems import SYSTEMS, TITLES
from bench.systems.port import System
from bench.tables import as_text, rows

_DOCS: Final = Path("docs")
_PARTIAL: Final = Path("build/bench")
"""Where the report of a quick run goes, which is not worth keeping."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns 1 if a system lost, doubled or reordered anything."""
    options = _parse(arguments)
    _raise_file_limit()
    # So that servers are ended and files removed by whoever holds them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    systems = _present(options.systems)
    report = Report(options.report or (_PARTIAL if options.quick else _DOCS))
    failed = False
    with tempfile.TemporaryDirectory(prefix="chat-bench-", dir=options.work) as name:
        work = Path(name)
        work.chmod(0o755)  # some servers give up root before they read their configuration
        bench = Bench(
            systems,
            options.seconds or (1.0 if options.quick else 10.0),
            options.quick,
            work,
            options.history,
        )
        under = conditions(systems, work)
        for scenario in options.only:
            results = _run(SCENARIOS[scenario], bench)
            report.add(SCENARIOS[scenario], results, under)
            report.write()
            failed |= any(result.failed for result in results)
    print(f"\nwritten to {report.page}")
    return int(failed)


def _run(scenario: Scenario, bench: Bench) -> list[Result]:
    print(f"\n{scenario.title}", flush=True)
    results: list[Result] = []
    started = time.monotonic()
    for result in scenario.run(bench):
        results.append(result)
        what = result.failed and f"FAILED: {result.failed}"
        print(f"  {TITLES[result.system]}, {result.case} {what}".rstrip(), flush=True)
    if results:
        print(f"\n{as_text(rows(results, TITLES))}\n({time.monotonic() - started:.0f} s)")
    return results


def _present(names: Sequence[str]) -> list[System]:
    """Return the systems that can be run, and say which cannot."""
    systems = [SYSTEMS[name] for name in names]
    for system in systems:
        if missing := system.missing():
            print(f"{system.title} is skipped: {missing}", file=sys.stderr)
    return [system for system in systems if not system.missing()]


def _raise_file_limit() -> None:
    """Allow as many connections as this user may have, in servers and load alike."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small part, in about a minute")
    parser.add_argument(
        "--only",
        action="extend",
        type=_names(SCENARIOS),
        metavar="NAME[,NAME]",
        help=f"only these scenarios: {', '.join(SCENARIOS)}",
    )
    parser.add_argument(
        "--systems",
        type=_names(SYSTEMS),
        default=list(SYSTEMS),
        metavar="NAME[,NAME]",
        help=f"only these systems: {', '.join(SYSTEMS)}",
    )
    parser.add_argument("--seconds", type=float, help="how long each trial is measured (10)")
    parser.add_argument(
        "--history",
        type=int,
        default=10_000_000,
        metavar="MESSAGES",
        help="the longest history (10000000): 1000000 takes five minutes and some GB of disk less",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help=f"where the report goes ({_DOCS}; with --quick {_PARTIAL})",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("/var/tmp"),
        metavar="DIR",
        help="where the servers keep their files meanwhile: on a real disk",
    )
    options = parser.parse_args(arguments)
    options.only = options.only or list(SCENARIOS)
    return options


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return names

    return parse
