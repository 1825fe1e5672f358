"""The examples in deploy/: the programs that they start take what they are given."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
import yaml

from chat_service import cli
from chat_service.config import Config
from chat_service.console import place
from chat_service.console.destination import Destination
from chat_service.console.port import NotDone

DEPLOY: Final = Path(__file__).parent.parent / "deploy"
BIN: Final = Path(sys.executable).parent
PASSWORD: Final = "chat-0123"
MARGIN: Final = 5
"""Seconds that a node may take to close its state, when its sessions have ended."""


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def pod(name: str) -> dict[str, Any]:
    """Return the pod of a StatefulSet."""
    (found,) = (
        it for it in manifests() if (it["kind"], it["metadata"]["name"]) == ("StatefulSet", name)
    )
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Return a container's variables as Kubernetes would set them."""
    known = {"NATS_PASSWORD": PASSWORD}
    for variable in container["env"]:
        name, value = variable["name"], variable.get("value", "")
        for other, its in known.items():
            value = value.replace(f"$({other})", its)
        known.setdefault(name, value or "a-name")
    return known


def services() -> dict[str, dict[str, Any]]:
    text = (DEPLOY / "compose.yaml").read_text()
    text = text.replace("${NATS_PASSWORD:?set it, as at the top of this file}", PASSWORD)
    found: dict[str, dict[str, Any]] = yaml.safe_load(text.replace("${NATS_PASSWORD}", PASSWORD))
    return found["services"]


def nodes() -> Iterator[Any]:
    """Yield the arguments and the environment of every node in the examples."""
    (container,) = pod("chat")["containers"]
    yield pytest.param(container["args"], environment(container), id="kubernetes")
    for name, service in services().items():
        if name.startswith("chat"):
            yield pytest.param(service["command"], service["environment"], id=name)


@pytest.mark.parametrize(("arguments", "variables"), [*nodes()])
def test_the_server_takes_the_settings(
    arguments: list[str], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Config] = []
    monkeypatch.setattr(cli, "serve", served.append)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)
    assert not exited.value.code
    (config,) = served
    assert config.nats is not None
    assert len(config.nats) == 3
    assert all(f"chat:{PASSWORD}@nats-" in url for url in config.nats)
    assert config.node in (variables["CHAT_NODE"], "a-name")


@pytest.mark.parametrize(("arguments", "variables"), [*nodes()])
def test_the_operators_commands_in_a_nodes_container_are_for_the_cluster(
    arguments: list[str], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Destination] = []

    def ask(destination: Destination) -> NoReturn:
        asked.append(destination)
        raise NotDone("this is only a test")

    monkeypatch.setattr(place, "cluster", ask)
    monkeypatch.setenv("CHAT_PASSWORD", "a good password")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        cli.main(["user", "add", "root", "--admin"])
    assert all(f"chat:{PASSWORD}@nats-" in url for it in asked for url in it.nats.servers)
    assert len(asked) == 1


def nats_settings() -> Iterator[Any]:
    (container,) = pod("nats")["containers"]
    yield pytest.param(environment(container), id="kubernetes")
    for name, service in services().items():
        if name.startswith("nats"):
            yield pytest.param(service["environment"], id=name)


@pytest.mark.parametrize("variables", [*nats_settings()])
def test_the_nats_server_takes_the_settings(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [BIN / "nats-server", "-t", "-c", DEPLOY / "nats.conf"],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(yaml.safe_load(variables["NATS_ROUTES"])) == 3


def test_the_log_is_on_disk_before_it_is_acknowledged() -> None:
    assert "sync_interval: always" in (DEPLOY / "nats.conf").read_text()


def test_a_pod_is_given_longer_to_end_than_it_drains() -> None:
    spec = pod("chat")
    (container,) = spec["containers"]
    _, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    (deadline,) = (it for it in container["args"] if it.startswith("--shutdown-deadline="))
    drain = int(pause) + int(deadline.partition("=")[2])
    assert spec["terminationGracePeriodSeconds"] >= drain + MARGIN


def test_a_container_is_given_longer_to_end_than_it_drains() -> None:
    for name, service in services().items():
        if name.startswith("chat"):
            (deadline,) = (it for it in service["command"] if it.startswith("--shutdown-deadline="))
            grace = int(service["stop_grace_period"].removesuffix("s"))
            assert grace >= int(deadline.partition("=")[2]) + MARGIN


def test_a_browser_gets_all_files_of_the_page_from_one_node() -> None:
    (web,) = (
        it["spec"]
        for it in manifests()
        if it["kind"] == "Service" and "web" in [port["name"] for port in it["spec"]["ports"]]
    )
    assert web["sessionAffinity"] == "ClientIP"
    assert web["selector"] == {"app": "chat"}


def test_clients_keep_their_addresses_on_the_way_in() -> None:
    entrances = [
        it["spec"]
        for it in manifests()
        if it["kind"] == "Service" and it["spec"].get("type") == "LoadBalancer"
    ]
    assert [it["externalTrafficPolicy"] for it in entrances] == ["Local", "Local"]


def test_every_pod_is_probed_and_may_do_nothing_that_it_need_not() -> None:
    for name in ("chat", "nats"):
        spec = pod(name)
        (container,) = spec["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        assert spec["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_quorum_survives_whatever_is_done_on_purpose() -> None:
    budgets = {
        it["metadata"]["name"]: it["spec"]["maxUnavailable"]
        for it in manifests()
        if it["kind"] == "PodDisruptionBudget"
    }
    assert budgets == {"nats": 1, "chat": 1}
