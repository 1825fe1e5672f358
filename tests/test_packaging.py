"""What is shipped works without the checkout, and what is generated is up to date."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from chat_service import __version__

ROOT: Final = Path(__file__).parent.parent
PROTO: Final = ROOT / "proto"
GENERATED: Final = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release would."""
    target = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(target)]
    subprocess.run([*pip, *options, str(ROOT)], check=True, timeout=100)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the wheel holds and nothing of the checkout."""
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, *arguments: str) -> str:
    """Run the installed packages' Python elsewhere, with the libraries but not the checkout."""
    code = (
        "import runpy, sys\n"
        f"sys.path[:] = [{str(installed)!r}]"
        f" + [it for it in sys.path if not it.startswith({str(ROOT)!r}) or 'site-packages' in it]\n"
        "sys.meta_path[:] = [it for it in sys.meta_path if 'editable' not in repr(it)]\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=installed,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_wheel_holds_the_packages_with_their_types_and_generated_code(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for package in ("chat_service", "chat_client", "chat"):
        assert f"{package}/py.typed" in names
        assert f"{package}/__init__.py" in names
    for module in ("chat", "commands", "cursor", "events"):
        assert {f"chat/v1/{module}_pb2.py", f"chat/v1/{module}_pb2.pyi"} <= names
    assert "chat/v1/chat_pb2_grpc.py" in names
    strangers = [it for it in names if it.partition("/")[0] in ("tests", "bench", "docs", "proto")]
    assert not strangers


def test_every_module_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = [
        path.relative_to(base).as_posix()
        for base, package in ((ROOT, "chat_service"), (ROOT, "chat_client"), (PROTO, "chat"))
        for path in (base / package).rglob("*.py")
    ]
    assert len(sources) > 50
    assert not set(sources) - names


def test_the_page_is_in_the_wheel_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    page = ROOT / "chat_service" / "web"
    files = [it.relative_to(ROOT).as_posix() for it in page.rglob("*") if it.is_file()]
    assert {"chat_service/web/index.html", "chat_service/web/assets/main.js"} <= set(files)
    assert not set(files) - names


@pytest.mark.parametrize("module", ["chat_service", "chat_client"])
def test_the_commands_run_from_the_wheel(installed: Path, module: str) -> None:
    name = {"chat_service": "chat-server", "chat_client": "chat-client"}[module]
    assert run(installed, module, "--version") == f"{name} {__version__}\n"


def test_the_wheel_declares_both_commands(installed: Path) -> None:
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert entry_points.read_text().splitlines()[1:] == [
        "chat-client = chat_client.cli:main",
        "chat-server = chat_service.cli:main",
    ]


def test_nothing_is_imported_from_the_checkout(installed: Path) -> None:
    (installed / "probe.py").write_text(
        "import chat.v1.chat_pb2_grpc, chat_client, chat_service.node, sys\n"
        "for name, module in sorted(sys.modules.items()):\n"
        "    if name.partition('.')[0] in ('chat', 'chat_client', 'chat_service'):\n"
        "        print(module.__file__)\n"
    )
    files = run(installed, "probe").splitlines()
    assert len(files) > 30
    assert not [it for it in files if not it.startswith(str(installed))]


def test_the_generated_code_is_what_the_contract_generates(tmp_path: Path) -> None:
    files = [str(path) for path in sorted(PROTO.glob("chat/**/*.proto"))]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
    plain = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*protoc, *plain, *files], check=True)
    services = [it for it in files if "\nservice " in Path(it).read_text()]
    subprocess.run([*protoc, f"--grpc_python_out={tmp_path}", *services], check=True)
    kept, made = (
        {
            path.relative_to(base): path.read_text()
            for pattern in GENERATED
            for path in base.rglob(pattern)
        }
        for base in (PROTO, tmp_path)
    )
    assert kept
    assert kept == made
