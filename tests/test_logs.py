import asyncio
import io
import json
import logging
import os
import pty
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chat_service import logs
from chat_service.config import LOG_LEVELS, LogFormat

HOSTILE = [
    "bob\n2026-01-01T00:00:00Z [info     ] forged",
    "bob\r[info     ] forged",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b2J",
    "a\x85b\u2028c\u2029d\x0be\x0cf",
    "\u202etxt.exe",
    "\ud800",
    "x level=error user=root",
]


class Shouting:
    """Something whose `repr` is whatever it likes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def configured(log_format: LogFormat = "human", level: str = "info") -> io.StringIO:
    out = io.StringIO()
    logs.configure(level, log_format, out)
    return out


def only_line(out: io.StringIO) -> str:
    line, end, rest = out.getvalue().partition("\n")
    assert (end, rest) == ("\n", "")
    return line


def only_object(out: io.StringIO) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(only_line(out))
    return fields


# --- what an event looks like ---


def test_a_human_line_has_time_level_event_logger_and_fields() -> None:
    out = configured()
    logs.get("chat.here").info("session opened", user="bob", sessions=3, took=0.5, peer=None)
    time, rest = only_line(out).split(" ", 1)
    assert " ".join(rest.split()) == (
        "[info ] session opened [chat.here] user=bob sessions=3 took=0.5 peer=None"
    )
    assert datetime.now(UTC) - datetime.fromisoformat(time) < timedelta(minutes=1)


def test_a_json_line_has_time_level_event_logger_and_fields() -> None:
    out = configured("json")
    logs.get("chat.here").warning("session closed", user="bob", sessions=3, rooms=["#a"])
    fields = only_object(out)
    assert list(fields) == ["timestamp", "level", "event", "logger", "user", "sessions", "rooms"]
    time = datetime.fromisoformat(fields.pop("timestamp"))
    assert time.utcoffset() == timedelta(0)
    assert fields == {
        "level": "warning",
        "event": "session closed",
        "logger": "chat.here",
        "user": "bob",
        "sessions": 3,
        "rooms": ["#a"],
    }


def test_auto_is_human() -> None:
    out = configured("auto")
    logs.get("here").info("begun")
    assert "[info     ] begun" in only_line(out)


@pytest.mark.parametrize("no_color", [None, "", "1"])
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], no_color: str | None
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    out = stream()
    logs.configure("info", "auto", out)
    logs.get("here").info("begun", user="bob")
    assert ("\x1b[" in out.getvalue()) == (stream is Terminal and not no_color)


def test_without_a_stream_it_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logs.get("here").info("begun")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "begun"


# --- which events ---


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_a_level_shows_itself_and_what_is_above(level: str) -> None:
    out = configured("json", level)
    for name in LOG_LEVELS:
        getattr(logs.get("here"), name)("structlog")
        getattr(logging.getLogger("there"), name)("logging")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    shown = [(line["level"], line["event"]) for line in lines]
    expected = LOG_LEVELS[LOG_LEVELS.index(level) :]
    assert shown == [(name, origin) for name in expected for origin in ("structlog", "logging")]


def test_a_logger_follows_every_configuration() -> None:
    log = logs.get("here")
    first = configured("json", "error")
    log.info("too quiet")
    second = configured("human", "info")
    log.info("loud enough")
    assert first.getvalue() == ""
    assert "loud enough" in only_line(second)


def test_a_bound_logger_keeps_its_fields() -> None:
    out = configured("json")
    logs.get("here").bind(session="s1").info("begun")
    assert only_object(out)["session"] == "s1"


# --- what the libraries log ---


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_libraries_share_the_renderer(log_format: LogFormat) -> None:
    out = configured(log_format)
    logging.getLogger("asyncio").error("lost %s\nand %d", "a", 2)
    line = only_line(out)
    assert r"lost a\nand 2" in line
    assert "asyncio" in line


def test_a_level_between_two_is_the_lower() -> None:
    out = configured("json")
    logging.getLogger("there").log(35, "odd")
    assert only_object(out)["level"] == "warning"


def test_a_librarys_exception_is_told() -> None:
    out = configured("json")
    try:
        os.environ["NO SUCH VARIABLE"]
    except KeyError:
        logging.getLogger("there").exception("failed")
    assert only_object(out)["exception"][0]["exc_type"] == "KeyError"


def test_a_task_that_nobody_awaits_is_told_in_one_event() -> None:
    out = configured("json")

    async def fail() -> None:
        raise ValueError("alone")

    async def main() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])
        del task

    asyncio.run(main())
    fields = only_object(out)
    assert fields["logger"] == "asyncio"
    assert fields["exception"][0]["exc_value"] == "alone"


def test_a_warning_is_an_event() -> None:
    out = configured("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("mind\nthe gap", stacklevel=1)
    fields = only_object(out)
    assert (fields["logger"], fields["level"]) == ("py.warnings", "warning")
    assert "mind\nthe gap" in fields["event"]


# --- what strangers cannot do ---


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("log_format", ["human", "json"])
def test_a_value_cannot_forge_a_line_or_reach_the_terminal(
    log_format: LogFormat, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # Those of pytest itself would have its workers tell each other what no encoding has.
        patch.setattr(logging.getLogger(), "handlers", [])
        out = configured(log_format)
        log = logs.get("here")
        octets = text.encode(errors="replace")
        log.info("s", user=text, list=[text], bytes=octets, any=Shouting(text))
        log.info("s", exception=text, stack=text)
        log.info(text)
        log.info(Shouting(text))  # type: ignore[arg-type]
        logging.getLogger(text).info("%s", text)
    assert_harmless(out.getvalue(), events=5)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("log_format", ["human", "json"])
def test_an_exception_cannot_forge_a_line_or_reach_the_terminal(
    log_format: LogFormat, text: str
) -> None:
    out = configured(log_format)
    error = ExceptionGroup("several", [ValueError(text), KeyError(text)])
    error.add_note(text)
    logs.get("here").error("failed", exc_info=error)
    assert_harmless(out.getvalue(), events=1)


def assert_harmless(written: str, events: int) -> None:
    """Check that only these events begin a line, and that nothing but lines is written."""
    lines = written.split("\n")[:-1]
    assert all(line.isprintable() for line in lines)
    assert len([line for line in lines if not line.startswith("    ")]) == events


def test_what_a_value_looks_like_is_unambiguous() -> None:
    out = configured()
    logs.get("here").info("s", a="x b=1", c="", d="'", e="\\n", f="\n", g="#lobby", h=b"\n")
    assert only_line(out).endswith(r"""a='x b=1' c='' d="'" e='\\n' f='\n' g=#lobby h=b'\n'""")


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_a_traceback_tells_no_variables(log_format: LogFormat) -> None:
    out = configured(log_format)
    text = "".join(["what bob", " wrote"])
    try:
        _ = len(text) / 0
    except ZeroDivisionError:
        logs.get("here").exception("failed")
    assert "ZeroDivisionError" in out.getvalue()
    assert "what bob wrote" not in out.getvalue()


def test_a_human_traceback_is_indented_under_its_event() -> None:
    out = configured()
    logs.get("here").error("failed", exc_info=ValueError("bad"))
    event, *traceback = out.getvalue().splitlines()
    assert "failed" in event
    assert traceback == ["    ValueError: bad"]


# --- what it withstands ---


def test_a_log_that_nobody_reads_stops_nobody_and_then_tells_what_is_missing() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        logs.configure("info", "json", stream)

        def talk() -> None:
            for number in range(3_000):
                logs.get("here").info("said", number=number, text="x" * 9_000)

        talking = threading.Thread(target=talk, daemon=True)
        talking.start()
        talking.join(20.0)
        assert not talking.is_alive()
        os.set_blocking(reading, False)
        lines = reader.readlines()
        logs.get("here").info("heard")
        lines += reader.readlines()
    whole = [json.loads(line) for line in lines if line.endswith("}\n")]
    *said, missing, heard = whole
    assert [it["number"] for it in said] == [*range(len(said))]
    assert (missing["event"], heard["event"]) == (
        "nobody has read this log: lines are missing",
        "heard",
    )
    assert missing["lines"] == 3_000 - len(said)


@pytest.mark.parametrize("stream", [Broken(), io.StringIO()])
def test_a_log_that_cannot_be_written_stops_nobody(stream: io.StringIO) -> None:
    logs.configure("info", "human", stream)
    if not isinstance(stream, Broken):
        stream.close()
    logs.get("here").info("lost")
    logging.getLogger("there").info("lost")


def test_a_finalizer_may_log_while_a_line_is_written() -> None:
    class Finalizing(io.StringIO):
        def write(self, text: str) -> int:
            if "finalized" not in text:
                logging.getLogger("there").error("finalized")
            return super().write(text)

    out = Finalizing()
    logs.configure("info", "human", out)
    logs.get("here").info("begun")
    assert len(out.getvalue().splitlines()) == 2


def test_threads_write_whole_lines() -> None:
    out = configured("json")
    log = logs.get("here")

    def work() -> None:
        for _ in range(200):
            log.info("x" * 500)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events == ["x" * 500] * 1600


def test_a_level_that_is_off_costs_no_rendering() -> None:
    out = configured()

    class Costly:
        def __repr__(self) -> str:
            raise AssertionError("rendered")

    logs.get("here").debug("unseen", value=Costly())
    assert out.getvalue() == ""


def test_a_real_terminal_gets_colours() -> None:
    main, terminal = pty.openpty()
    code = "from chat_service import logs; logs.configure('info', 'auto'); logs.get('x').info('y')"
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run([sys.executable, "-c", code], stderr=terminal, env=env, check=True, timeout=60)
    os.close(terminal)
    shown = os.read(main, 10_000)
    os.close(main)
    assert b"\x1b[" in shown


def test_what_goes_on_and_on_is_told_when_it_begins_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    seldom = logs.Seldom()
    assert [seldom.due() for _ in range(3)] == [True, False, False]
    now += logs.TELL_EVERY
    assert [seldom.due() for _ in range(3)] == [True, False, False]
    seldom.over()
    assert seldom.due()
