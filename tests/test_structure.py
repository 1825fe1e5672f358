"""Who imports whom: the arrows that the architecture allows, and no others."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
CORE: Final = "chat_service.core"
CONTRACT: Final = "chat.v1"

# The parts of the house, each with what it may import besides itself and the standard library. A
# part is a package or a module, and the longest name that fits decides; so does it for what is
# imported, so that `log.port` leaves out the rest of `log`.
ALLOWED: Final = {
    "chat_service": "",
    "chat_service.__main__": "chat_service.cli",
    "chat_service.cli": "chat_service chat_service.config chat_service.interpreter"
    " chat_service.logs chat_service.node chat_service.settings_file chat_service.startup"
    " chat_service.values chat_service.workers click uvloop",
    "chat_service.workers": "chat_service.config chat_service.interpreter chat_service.logs"
    " chat_service.startup",
    "chat_service.cert_cli": "chat_service.certificate chat_service.values click",
    "chat_service.user_cli": "chat_service.console chat_service.values chat_service.logs click",
    "chat_service.state_cli": "chat_service.console chat_service.values chat_service.logs"
    " chat_service.nats_connection chat_service.startup click",
    "chat_service.console": "chat_service.auth chat_service.config chat_service.console.cluster"
    " chat_service.logs chat_service.nats_connection chat_service.startup chat_service.state"
    " chat_service.values chat_service.wire.times chat.v1 click google grpc nats",
    "chat_service.console.cluster": "chat_service.auth.passwords chat_service.config"
    " chat_service.console chat_service.desk chat_service.follower chat_service.foundation"
    " chat_service.hub chat_service.log.port chat_service.nats_connection"
    " chat_service.state.store",
    "chat_service.console.moving": "chat_service.console chat_service.log"
    " chat_service.nats_connection chat_service.state.inspection nats",
    "chat_service.config": "",
    "chat_service.values": "chat_service.config click",
    "chat_service.settings_file": "click",
    "chat_service.certificate": "cryptography",
    "chat_service.file_stamp": "",
    "chat_service.auth": "chat_service.file_stamp chat_service.startup chat_service.state.port"
    " chat_service.logs argon2 cryptography jwt precis_i18n",
    "chat_service.tls": "chat_service.file_stamp chat_service.startup chat_service.logs"
    " cryptography",
    "chat_service.startup": "",
    "chat_service.logs": "chat_service.config structlog",
    "chat_service.loop_lag": "chat_service.logs",
    "chat_service.interpreter": "",
    "chat_service.node": "chat_service",
    "chat_service.foundation": "chat_service chat_service.bootstrap chat_service.config"
    " chat_service.log chat_service.nats_connection chat_service.replay chat_service.signals"
    " chat_service.snapshot_keeper chat_service.startup chat_service.state nats",
    "chat_service.bootstrap": "chat_service.log chat_service.logs chat_service.startup"
    " chat_service.state",
    "chat_service.snapshot_keeper": "chat_service.log.snapshots chat_service.logs"
    " chat_service.startup chat_service.state",
    "chat_service.nats_connection": "chat_service.logs chat_service.startup nats",
    "chat_service.replay": "chat_service.log.port chat_service.logs",
    "chat_service.reception": "chat_service.auth.doorman chat_service.flood chat_service.hub"
    " chat_service.services chat_service.session chat_service.wire.port chat_service.logs",
    "chat_service.session": "chat_service.auth chat_service.catch_up chat_service.deadlines"
    " chat_service.entrance chat_service.flood chat_service.hub chat_service.in_flight"
    " chat_service.inquiries chat_service.nonces chat_service.services chat_service.wire.port"
    " chat_service.logs",
    "chat_service.services": "chat_service.auth chat_service.flood chat_service.hub"
    " chat_service.inquiries chat_service.log.port chat_service.state.port",
    "chat_service.inquiries": "chat_service.hub chat_service.state.port",
    "chat_service.entrance": "chat_service chat_service.auth chat_service.catch_up",
    "chat_service.deadlines": "",
    "chat_service.in_flight": "chat_service.log.port",
    "chat_service.nonces": "",
    "chat_service.desk": "chat_service.hub chat_service.in_flight chat_service.log.port",
    "chat_service.accounts": "chat_service.auth chat_service.desk chat_service.flood"
    " chat_service.state.port",
    "chat_service.administration": "chat_service chat_service.accounts chat_service.auth"
    " chat_service.desk chat_service.hub chat_service.loop_lag chat_service.state.port"
    " chat_service.watch",
    "chat_service.catch_up": "chat_service.hub chat_service.log.port chat_service.state.port"
    " chat_service.wire.port chat_service.logs",
    "chat_service.follower": "chat_service.hub chat_service.log.port chat_service.state.store"
    " chat_service.logs",
    "chat_service.retention": "chat_service.config chat_service.log.port chat_service.state.store"
    " chat_service.logs",
    "chat_service.peers": "",
    "chat_service.proof": "",
    "chat_service.watch": "chat_service.hub chat_service.peers chat_service.proof"
    " chat_service.signals.port chat_service.logs",
    "chat_service.flood": "chat_service.config chat_service.logs",
    "chat_service.transports": "chat_service.accounts chat_service.administration"
    " chat_service.auth.doorman chat_service.config chat_service.flood chat_service.logs"
    " chat_service.reception chat_service.session chat_service.startup chat_service.state.port"
    " chat_service.tls chat_service.watch chat_service.wire aiohttp chat.v1 google grpc"
    " grpc_health grpc_reflection"
    " grpc_status",
    "chat_service.hub": "chat_service.wire chat_service.logs",
    "chat_service.state": "chat_service.wire chat_service.startup apsw",
    "chat_service.log": "chat_service.logs chat_service.nats_connection chat_service.startup"
    " chat_service.wire nats",
    "chat_service.signals": "chat_service.wire.signal chat_service.logs"
    " chat_service.nats_connection nats",
    "chat_service.wire": "chat.cluster.v1 chat.v1 google msgspec",
    "chat_service.core": "confusable_homoglyphs msgspec precis_i18n",
    "chat_client": "chat.v1 click google grpc grpc_status keyring platformdirs precis_i18n"
    " prompt_toolkit structlog",
}
WITHOUT_CORE: Final = {
    "chat_service", "chat_service.bootstrap", "chat_service.console.moving",
    "chat_service.deadlines", "chat_service.file_stamp",
    "chat_service.interpreter", "chat_service.logs", "chat_service.loop_lag",
    "chat_service.nats_connection", "chat_service.replay", "chat_service.settings_file",
    "chat_service.snapshot_keeper", "chat_service.startup", "chat_service.state_cli",
    "chat_service.tls", "chat_service.workers", "chat_client",
}  # fmt: skip
ANYTHING_BELOW: Final = {"chat_service.node"}

IMPURE: Final = {
    "asyncio", "concurrent", "datetime", "grpc", "io", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "selectors", "signal", "socket", "sqlite3", "subprocess", "threading",
    "time", "uuid",
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Return every module of ours and its file."""
    files = [path for top in ("chat_service", "chat_client") for path in (ROOT / top).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, files, strict=True)}


MODULES: Final = modules()


def imports(module: str, source: str) -> set[str]:
    """Return the modules that a source names in imports, wherever in it they stand."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source, module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative imports hide where an arrow points"
            base = node.module or ""
            names = {f"{base}.{alias.name}" for alias in node.names}
            submodules = {name for name in names if name in MODULES or base == CONTRACT}
            found |= submodules
            if submodules != names:
                found.add(base)
    return found


ARROWS: Final = {name: imports(name, path.read_text()) for name, path in MODULES.items()}


def part(module: str) -> str:
    """Return the part of the house that a module belongs to."""
    while module not in ALLOWED:
        module = module.rpartition(".")[0]
    return module


def within(module: str, whole: str) -> bool:
    return module == whole or module.startswith(f"{whole}.")


def may_import(module: str, target: str) -> bool:
    """Tell whether the table has an arrow from a module to another."""
    top = target.partition(".")[0]
    home = part(module)
    if top in sys.stdlib_module_names or (target in MODULES and part(target) == home):
        return True
    if home in ANYTHING_BELOW:
        return top == "chat_service" and target not in ("chat_service.cli", "chat_service.__main__")
    allowed = set(ALLOWED[home].split())
    if home not in WITHOUT_CORE:
        allowed.add(CORE)
    # The package itself holds the version; allowing that does not allow what is in it.
    return any(target == it or (it != "chat_service" and within(target, it)) for it in allowed)


def arrows_out_of(whole: str) -> Iterator[tuple[str, str]]:
    return ((m, target) for m in MODULES if within(m, whole) for target in sorted(ARROWS[m]))


def test_every_arrow_is_in_the_table() -> None:
    arrows = [
        (m, target) for top in ("chat_service", "chat_client") for m, target in arrows_out_of(top)
    ]
    assert len(arrows) > 100
    assert not [f"{m} -> {target}" for m, target in arrows if not may_import(m, target)]


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("chat_service.core.rules.naming", "chat_service.wire.port"),
        ("chat_service.core.rules.naming", "chat_service.auth.tokens"),
        ("chat_service.core.rules", "grpc"),
        ("chat_service.core.rules", "chat_service"),
        ("chat_service.hub.hub", "chat_service.state.port"),
        ("chat_service.hub.hub", "chat_service.log.port"),
        ("chat_service.session", "chat_service.log.embedded"),
        ("chat_service.session", "chat_service.state.store"),
        ("chat_service.session", "chat_service.transports.tcp"),
        ("chat_service.transports.tcp", "chat_service.hub.hub"),
        ("chat_service.transports.accounts", "chat_service.desk"),
        ("chat_service.transports.admin", "chat_service.state.store"),
        ("chat_service.transports.admin", "chat_service.auth.passwords"),
        ("chat_service.administration", "chat_service.log.embedded"),
        ("chat_service.auth.doorman", "chat_service.hub.hub"),
        ("chat_service.auth.doorman", "chat_service.state.store"),
        ("chat_service.entrance", "chat_service.hub.hub"),
        ("chat_service.state.store", "chat_service.hub.hub"),
        ("chat_service.state.store", "chat_service.logs"),
        ("chat_service.wire.line", "chat_service.logs"),
        ("chat_service.node", "chat_service.cli"),
        ("chat_service.node", "chat_client.client"),
        ("chat_client.client", "chat_service.core.address"),
    ],
)
def test_an_arrow_that_is_not_in_the_table_is_found(module: str, target: str) -> None:
    assert not may_import(module, target)


def test_an_import_is_found_in_whatever_form_and_place_it_is_written() -> None:
    source = (
        "def f():\n from chat_service.hub import hub\n import apsw.ext\nfrom chat.v1 import a_pb2"
    )
    assert imports("x", source) == {"chat_service.hub.hub", "apsw.ext", "chat.v1.a_pb2"}
    assert imports("x", "from chat_service import __version__, logs") == {
        "chat_service",
        "chat_service.logs",
    }


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {m: {t for t in targets if t in MODULES} - {m} for m, targets in ARROWS.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_core_knows_no_io_no_clock_and_no_chance() -> None:
    assert not [(m, t) for m, t in arrows_out_of(CORE) if t.partition(".")[0] in IMPURE]


ADAPTERS: Final = ("embedded", "nats", "rpc")


def test_only_the_node_and_what_it_stands_on_name_a_concrete_log_bus_or_transport() -> None:
    adapted = ("chat_service.log", "chat_service.signals", "chat_service.transports")
    ports = {*adapted, "chat_service.log.port", "chat_service.signals.port"}
    concrete = {m for m in MODULES if m not in ports and any(within(m, it) for it in adapted)}
    assert {f"{it}.{adapter}" for it, adapter in zip(adapted, ADAPTERS, strict=True)} <= concrete
    importers = {m for m in MODULES if ARROWS[m] & concrete and part(m) not in map(part, concrete)}
    # Snapshots have no port: they are for those alone that care for a log of many nodes.
    for_many = {f"chat_service.{it}" for it in ("bootstrap", "console.moving", "snapshot_keeper")}
    assert importers - for_many == {"chat_service.foundation", "chat_service.node"}


def test_client_and_server_share_the_contract_alone() -> None:
    assert not [t for _, t in arrows_out_of("chat_client") if within(t, "chat_service")]
    assert not [t for _, t in arrows_out_of("chat_service") if within(t, "chat_client")]
