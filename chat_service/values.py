"""What a setting may hold: from the text of a flag, a variable or a TOML file to its value.

Each function raises ValueError with one sentence, which the user reads.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from chat_service.config import AGES, MIB, Endpoint
from chat_service.core.bucket import Rate

_SIZE: Final = re.compile(r"([0-9]{1,15}) ?(B|KiB|MiB|GiB)?", re.IGNORECASE)
_AGE: Final = re.compile(rf"([0-9]{{1,12}})([{''.join(AGES)}])?")
_RATE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?):([0-9]{1,12})")
_ORIGIN: Final = re.compile(
    r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?"
)
_SERVER: Final = re.compile(r"(?:(?:nats|tls)://)?(?:[^\s/@]+@)?[^\s/@]+")
_UNITS: Final = {"": 1, "b": 1, "kib": 1024, "mib": MIB, "gib": 1024 * MIB}


class Parsed(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """What a function makes of a text; its ValueError is the sentence that the user reads."""

    name = "text"

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Parse text, or a number from a TOML file as if it were text."""
        try:
            return self._parse(_as_text(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _as_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"neither a string nor a number: {value!r}")  # noqa: TRY004  (as parsers)
    return str(value)


def listener(text: str) -> Endpoint | None:
    """Read `HOST:PORT`, or `off`, which is None."""
    return None if text == "off" else Endpoint.parse(text)


def origins(text: str) -> tuple[str, ...]:
    """Read origins of pages, between commas."""
    found = tuple(it.strip().rstrip("/") for it in text.split(",") if it.strip())
    for it in found:
        if not _ORIGIN.fullmatch(it):
            raise ValueError(f"not an origin such as https://chat.example: {it!r}")
    return found


def servers(text: str) -> tuple[str, ...]:
    """Read the URLs of NATS servers, apart by commas: `nats://HOST:PORT`, `tls://…` or `HOST`."""
    urls = tuple(url.strip() for url in text.split(","))
    for url in urls:
        if _SERVER.fullmatch(url) is None:
            raise ValueError("not URLs of NATS servers such as nats://127.0.0.1:4222")
    return urls


def directory(text: str) -> Path | None:
    """Read a directory, or `:memory:`, which is None."""
    if not text or "\0" in text:
        raise ValueError(f"not a directory: {text!r}")
    return None if text == ":memory:" else Path(text)


def file(text: str) -> Path:
    """Read the path of a file."""
    if not text or "\0" in text:
        raise ValueError(f"not a file: {text!r}")
    return Path(text)


def count(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def size(text: str) -> int:
    """Read a number of bytes, with a unit or without."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size such as 4MiB, 512KiB or 1048576: {text!r}")
    number, unit = match.groups(default="")
    return int(number) * _UNITS[unit.lower()]


def rate(text: str) -> Rate | None:
    """Read `RATE:BURST`, or `off`, which is None."""
    if text == "off":
        return None
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"not RATE:BURST such as 100:1000, or off: {text!r}")
    per_second, burst = match.groups()
    return Rate(float(per_second), float(burst))


def text(value: str) -> str:
    """Take a text as it is."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("not UTF-8") from None
    return value


def age(text: str) -> float:
    """Read a time such as `30d` or `12h`; without a unit, in seconds."""
    match = _AGE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time such as 30d, 12h or 3600: {text!r}")
    number, unit = match.groups(default="s")
    return float(int(number) * AGES[unit])


def seconds(text: str) -> float:
    """Read a number of seconds."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"not a number of seconds: {text!r}") from None
