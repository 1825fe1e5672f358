"""Ten thousand of each transport, connected for long while little is said: nothing grows.

What is asserted is memory and correctness, never speed.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import pytest

from tests.faults.soak.crowd import Roll
from tests.faults.soak.notes import Notes
from tests.faults.soak.process import CrowdProcess
from tests.faults.soak.vitals import Course, Vitals, at_rest, wait_for
from tests.faults.streams import MIB, cpu_seconds, peak_memory
from tests.processes import ServerProcess, StartServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

KIB: Final = 1024
MOST_KIB: Final = {"grpc": 40.0, "tcp": 12.0}
"""What a session of each transport may cost the server at rest."""

OPTIONS: Final = (
    "--max-sessions", "30000", "--log-level", "warning",
    "--rate-connects", "off", "--rate-commands", "off", "--rate-bytes", "off",
)  # fmt: skip
"""All come from one address."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many there are, and what goes on among them."""

    sessions: int
    """Of each transport."""
    beats: int
    """In each the lobby hears a message, some come, some leave, and the server is looked at."""
    beat: float
    """Seconds that it takes at least."""
    leaving: float
    """The share of all that leaves in a beat and comes again in the next."""
    whispers: float
    """Private messages a second, of each transport."""
    warm_up: int
    """Beats."""
    window: int
    """What is compared: so many beats behind the warm-up, and as many at the end."""
    may_grow: float
    """By which share the memory of the server may differ between the two."""


SHORT: Final = Plan(
    sessions=500,
    beats=20,
    beat=1,
    leaving=0.2,
    whispers=20,
    warm_up=8,
    window=4,
    may_grow=0.05,
)
"""Too short for what creeps, but what is kept of each of 1,600 sessions that leave would show."""

LONG: Final = Plan(
    sessions=10_000,
    beats=120,
    beat=5,
    leaving=0.01 * 5 / 60,
    whispers=5,
    warm_up=12,
    window=12,
    may_grow=0.02,
)
"""Ten minutes. Two per cent are some 10 MiB in eight of them, in which there are two million
deliveries and 1,600 sessions that leave: 6 bytes of each of the former or a fifth of each of the
latter would show. The TCP connections take about a third of the ports that Linux has by default for
those of one address to one port."""


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Let this process and those that it starts have as many files open as they may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(SHORT, id="500-of-each"),
        pytest.param(LONG, id="10000-of-each", marks=pytest.mark.long),
    ],
)
def test_many_stay_for_long_and_the_server_does_not_grow(
    server_process: StartServer, plan: Plan
) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < plan.sessions + 1000:
        pytest.skip(f"needs more than the {most} descriptors that a process may have")
    server = server_process(*OPTIONS)
    empty = at_rest(server)
    roll = Roll({"grpc": plan.sessions, "tcp": plan.sessions})
    with ExitStack() as stack:
        crowds: list[CrowdProcess] = []
        before = empty
        for kind, most_kib in MOST_KIB.items():
            crowds.append(stack.enter_context(CrowdProcess(kind, server.endpoints[kind], roll)))
            crowds[-1].ask("come", 0)
            seated = at_rest(server)
            kib = (seated.memory - before.memory) / plan.sessions / KIB
            print(f"\n{plan.sessions} sessions over {kind}: {kib:.1f} KiB each", end="")
            assert kib <= most_kib
            before = seated
        course = soak(plan, server, crowds)
        print(f"\n{figures(plan, server, course)}")
        # As many streams as before, so as many connections; SQLite may have one file more or less.
        assert abs(Vitals.of(server).descriptors - before.descriptors) <= 2
        assert course.growth() <= plan.may_grow
    wait_for(
        lambda: Vitals.of(server).descriptors <= empty.descriptors + 2,
        within=60,
        what="the end of all connections",
    )
    # On a machine that others use as well a loop may be late, which is logged and no fault.
    assert not [line for line in server.log.splitlines() if "the event loop was late" not in line]


def soak(plan: Plan, server: ServerProcess, crowds: Sequence[CrowdProcess]) -> Course:
    """Let time pass; fails if somebody hears anything twice, too late, in disorder or never."""
    for crowd in crowds:
        crowd.ask("greet")
        crowd.ask("whisper", plan.whispers)
    looks: list[Vitals] = []
    began, leaving, came = time.monotonic(), 0.0, 0
    for number in range(1, plan.beats + 1):
        looks.append(Vitals.of(server, time.monotonic() - began))
        crowds[number % len(crowds)].ask("say", number)
        until_all_have_heard(crowds, number)
        came += sum(crowd.ask("come", number) for crowd in crowds)
        leaving += plan.leaving * plan.sessions
        for crowd in crowds:
            crowd.ask("go", int(leaving))
        leaving -= int(leaving)
        time.sleep(max(0.0, began + number * plan.beat - time.monotonic()))
    for crowd in crowds:
        came += crowd.ask("come", plan.beats)
        crowd.ask("hush")
    until_all_have_heard(crowds, plan.beats)
    whispers = until_all_is_overheard(crowds)
    print(
        f"\n{plan.beats} messages in the lobby, {whispers} in private; {came} times somebody left"
        f" and came again; {time.monotonic() - began:.0f} s",
        end="",
    )
    return Course(looks, plan.warm_up, plan.window)


def until_all_have_heard(crowds: Sequence[CrowdProcess], number: int) -> None:
    """Wait until everybody who is here has heard a message of the lobby."""

    def heard() -> bool:
        return not any(crowd.ask("behind", number) for crowd in crowds)

    wait_for(heard, within=60, what=f"message {number} of the lobby, heard by all")
    for crowd in crowds:
        assert not crowd.ask("complaints")


def until_all_is_overheard(crowds: Sequence[CrowdProcess]) -> int:
    """Wait until every private message has come, and see that each came once."""

    def gathered() -> tuple[set[str], Counter[str]]:
        notes: list[Notes] = [crowd.ask("notes") for crowd in crowds]
        assert not [it for of in notes for it in of.complaints]
        whispered = set().union(*(of.whispered for of in notes))
        return whispered, sum((of.overheard for of in notes), Counter[str]())

    def all_overheard() -> bool:
        whispered, overheard = gathered()
        return whispered <= overheard.keys()

    wait_for(all_overheard, within=60, what="all private messages")
    whispered, overheard = gathered()
    assert overheard == Counter(whispered)
    return len(whispered)


def figures(plan: Plan, server: ServerProcess, course: Course) -> str:
    last = Vitals.of(server)
    medians = " ".join(f"{it / MIB:.1f}" for it in course.by_window())
    return (
        f"memory by {plan.window * plan.beat:.0f} s: {medians} MiB;"
        f" peak {peak_memory(server) / MIB:.1f}\n"
        f"growth behind the warm-up: {course.growth():+.2%};"
        f" fitted line: {course.slope() * 60 / MIB:+.2f} MiB a minute\n"
        f"{last.descriptors} descriptors, {last.threads} threads,"
        f" {cpu_seconds(server):.0f} s of processor time"
    )
