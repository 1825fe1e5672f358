"""The TOML file of settings: what it says becomes the defaults of the flags."""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Final

import click
from click.types import BoolParamType

FILE: Final = "chat_service.settings_file"
"""Where in `ctx.meta` the path is of the file that `default_map` came from."""


def load(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Make what the file says the defaults of all other settings.

    Raises a ClickException that names the file, and the key or line in it.
    """
    if path is not None:
        ctx.meta[FILE] = path
        ctx.default_map = _by_name(ctx, path, _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise click.BadParameter(f"cannot read {path}: {error.strerror}") from None
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise click.BadParameter(f"{path} is not UTF-8 (at line {line})") from None
    except tomllib.TOMLDecodeError as error:
        raise click.BadParameter(f"{path} is not TOML: {error}") from None


def _by_name(ctx: click.Context, path: Path, table: dict[str, Any]) -> dict[str, Any]:
    known = {param.name: param for param in ctx.command.params if _is_setting(param)}
    settings: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"{key} (in {path}): no such setting{hint}")
        if name in settings:
            raise click.UsageError(f"{key} (in {path}): set twice")
        if isinstance(known[name].type, BoolParamType) and not isinstance(value, bool | str):
            raise click.UsageError(f"{key} (in {path}): neither true nor false: {value!r}")
        settings[name] = value
    return settings


def _is_setting(param: click.Parameter) -> bool:
    """Tell a setting from what is eager (--config itself, --version), and from what is hidden."""
    return not param.is_eager and not getattr(param, "hidden", False)
