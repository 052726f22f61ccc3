"""How a server is set up: command line over environment (``TOMOPORTAL_…``) over ``tomoportal.toml``.

The fields of :class:`Settings` are the one list of settings; :func:`settings_table` prints it for the documentation.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tomoportal.errors import SettingsError

__all__ = ["SettingRow", "Settings", "load_settings", "settings_table"]

_FILE_NAME = "tomoportal.toml"
_PREFIX = "TOMOPORTAL_"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HAS_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def _setting(meaning: str, default: Any = dataclasses.MISSING) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a server can be told; raises :class:`SettingsError` for a value that cannot be used."""

    archive: str = _setting("The archive that is served: a folder or a URL (`s3://bucket/prefix?endpoint=…`).")
    db: str | None = _setting(
        "The catalog's database URL; by default `.tomoportal/catalog.sqlite` in an archive on a local disk.", None
    )
    host: str = _setting("The address to listen on; `0.0.0.0` lets other machines in.", "127.0.0.1")
    port: int = _setting("The port to listen on; 0 takes a free one.", 8000)
    workers: int = _setting("The number of server processes.", 1)
    threads: int = _setting(
        "Threads of each process for questions to the database, and as many again for reading files.", 16
    )
    public_url: str | None = _setting(
        "The address under which visitors reach the portal, such as `https://cryoet.lab.example`; by default the host "
        "that a request names.",
        None,
    )
    files_url: str | None = _setting(
        "The base of https addresses of files; by default the portal's address + `/files`.", None
    )
    bucket: str = _setting("The bucket's name in `s3://` addresses.", "tomoportal")
    site_name: str = _setting("The portal's name on its pages.", "Tomoportal")
    cors_origins: tuple[str, ...] = _setting(
        "Origins whose pages may call `/graphql`, `*` as wildcard; by default every port of localhost.", ()
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "Addresses of reverse proxies whose `X-Forwarded-Proto` and `X-Forwarded-Host` are believed; `*` believes all.",
        (),
    )
    max_body_mb: int = _setting("The largest request body that is read, in MB.", 10)
    cache_mb: int = _setting("Memory of each process for viewer data made on request, in MB.", 256)
    access_log: bool = _setting("Write one line per request to stderr.", False)
    log_json: bool = _setting("Write every line of the log as a JSON object.", False)
    metrics: bool = _setting("Serve counters for Prometheus at `/metrics`, to everybody who reaches the portal.", True)

    def __post_init__(self) -> None:
        if not self.archive:
            raise SettingsError("No archive is named.", where="archive", fix=_ARCHIVE_FIX)
        _check(0 <= self.port <= 65535, "port", self.port, "a port is a number from 0 to 65535")
        for name in ("workers", "threads", "max_body_mb", "cache_mb"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "give a whole number of at least 1")
        _check(bool(_BUCKET.fullmatch(self.bucket)), "bucket", self.bucket, "use 3 to 63 of a-z, 0-9, '-' and '.'")
        if self.public_url is not None:
            parts = _http_url("public_url", self.public_url)
            rule = "leave out path and query: the portal has a host (or host and port) of its own"
            _check(parts.path in {"", "/"} and not parts.query, "public_url", self.public_url, rule)
            object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        if self.files_url is not None:
            _http_url("files_url", self.files_url)
            object.__setattr__(self, "files_url", self.files_url.rstrip("/"))
        for origin in self.cors_origins:
            if origin != "*":
                rule = "an origin is a scheme and a host without a path, such as https://notebook.lab.example"
                _check(_http_url("cors_origins", origin).path == "", "cors_origins", origin, rule)


_ARCHIVE_FIX = 'give --archive FOLDER_OR_URL, set TOMOPORTAL_ARCHIVE, or write archive = "…" to tomoportal.toml'


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the documentation's table of settings."""

    name: str
    option: str
    env: str
    default: str
    meaning: str
    kind: str

    @property
    def is_address(self) -> bool:
        """Whether the value is a URL (or a folder)."""
        return self.name in {"archive", "db"} or self.name.endswith("_url")


def settings_table() -> list[SettingRow]:
    """Every setting with its option, environment variable, default and meaning, in the order of :class:`Settings`."""
    rows = []
    for item in dataclasses.fields(Settings):
        default = "" if item.default in (dataclasses.MISSING, None, ()) else str(item.default).lower()
        if isinstance(item.default, str):
            default = item.default
        option = "--" + item.name.replace("_", "-")
        variable, kind = _PREFIX + item.name.upper(), str(item.type).removesuffix(" | None")
        rows.append(SettingRow(item.name, option, variable, default, item.metadata["meaning"], kind))
    return rows


def load_settings(
    command_line: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    file: str | os.PathLike[str] | None = None,
) -> Settings:
    """The settings of a server; a value of ``None`` on the command line means "not given".

    ``file`` is the settings file; by default the environment's ``TOMOPORTAL_CONFIG``, else ``tomoportal.toml`` in the
    current folder if there is one. A relative archive in the file is relative to the file.
    """
    env = os.environ if environment is None else environment
    known = {item.name: item for item in dataclasses.fields(Settings)}
    values: dict[str, Any] = {}
    named = file if file is not None else env.get(_PREFIX + "CONFIG")
    path = Path(named) if named else Path(_FILE_NAME)
    if named or path.is_file():
        values.update(_read_file(path, set(known)))
    for name, item in known.items():
        variable = _PREFIX + name.upper()
        if env.get(variable):
            values[name] = _converted(str(item.type), env[variable], variable)
    for name, value in (command_line or {}).items():
        if name not in known:
            raise SettingsError(f"There is no setting {name!r}.", where="command line", fix=_known_fix(set(known)))
        if value is not None and value != ():
            values[name] = _converted(str(known[name].type), value, "--" + name.replace("_", "-"))
    values.setdefault("archive", "")
    return Settings(**values)


def _read_file(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fix = "check the path given by --config or TOMOPORTAL_CONFIG"
        raise SettingsError(f"The settings file cannot be read: {error.strerror}.", where=str(path), fix=fix) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file is not TOML: {error}.", where=str(path)) from error
    unknown = sorted(set(document) - known)
    if unknown:
        raise SettingsError(
            f"Unknown setting{'s' if len(unknown) > 1 else ''} {', '.join(map(repr, unknown))}.",
            where=f"{path}: {unknown[0]}",
            fix=_known_fix(known),
        )
    values = {}
    types = {item.name: str(item.type) for item in dataclasses.fields(Settings)}
    for name, value in document.items():
        values[name] = _converted(types[name], value, f"{path}: {name}")
    archive = values.get("archive")
    if archive and not _HAS_SCHEME.match(archive):
        values["archive"] = str(path.parent / archive)
    return values


def _known_fix(known: set[str]) -> str:
    return "the settings are " + ", ".join(sorted(known))


def _converted(kind: str, value: Any, where: str) -> Any:
    """A value as its field's type; texts come from the environment and the command line, typed values from TOML."""
    convert, expected = _CONVERSIONS[kind.removesuffix(" | None")]
    try:
        return convert(value)
    except (TypeError, ValueError, KeyError) as error:
        raise SettingsError(f"{value!r} is not {expected}.", where=where, fix=f"give {expected}") from error


def _text(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError
    return int(value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}[
        _text(value).strip().lower()
    ]


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(_text(part) for part in value)


_CONVERSIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "str": (_text, "a text"),
    "int": (_number, "a whole number"),
    "bool": (_flag, "true or false"),
    "tuple[str, ...]": (_texts, "a list of texts"),
}


def _http_url(name: str, value: str) -> Any:
    parts = urlsplit(value)
    _check(parts.scheme in {"http", "https"} and bool(parts.netloc), name, value, "start with http:// or https://")
    return parts


def _check(right: bool, name: str, value: object, rule: str) -> None:
    if not right:
        raise SettingsError(f"{value!r} cannot be used.", where=name, fix=rule)
