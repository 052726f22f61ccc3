"""The config of a project on a portal, and what the environment says instead (reference copick-portal, 1 and 15)."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from tomoportal.client import PUBLIC_PORTAL
from tomoportal.copick.config import CopickConfig
from tomoportal.errors import SettingsError

__all__ = ["CacheSettings", "CopickConfigCDP", "PortalSettings", "cache_settings", "settings_of"]

Access = Literal["https", "s3", "file"]

_FILE_CACHE_MB: Final = 256
_WORDS: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


class CopickConfigCDP(CopickConfig):
    """Datasets of a portal, which are only read, and an overlay that is written. Upstream's keys, then ours."""

    ROOT: ClassVar[str] = "portal.root:CopickRootCDP"
    OURS: ClassVar[tuple[str, ...]] = (
        *CopickConfig.OURS,
        "portal_url",
        "portal_access",
        "portal_s3_endpoint_url",
        "portal_files_root",
        "portal_all_objects",
        "portal_file_cache_mb",
    )

    config_type: Literal["cryoet_data_portal"] = "cryoet_data_portal"
    overlay_root: str
    overlay_fs_args: dict[str, Any] | None = Field(default_factory=dict)
    dataset_ids: list[int]
    portal_cache: bool = True
    portal_cache_ttl_seconds: int = 86400
    """For how long answers are used without asking the portal whether they still hold; 0 or less: for ever."""
    portal_cache_dir: str | None = None
    portal_cache_lock_timeout_seconds: int = 60
    portal_url: str | None = None
    """The GraphQL endpoint, or the address of the portal's pages; the public portal if not given."""
    portal_access: Access | None = None
    """How files are read; ``file`` if their folder is given, else ``s3`` if its endpoint is, else ``https``."""
    portal_s3_endpoint_url: str | None = None
    """The S3 service that holds the buckets of ``s3://`` addresses; read without signature."""
    portal_files_root: str | None = None
    """A folder or address below which the archive is mounted, in place of the bucket."""
    portal_all_objects: bool | None = None
    """List annotations of objects, too, whose identifier no object of the config has (C83)."""
    portal_file_cache_mb: int | None = Field(default=None, ge=0)
    """How much of the portal's points and meshes the user's cache folder may hold; 256 if not given, 0 for nothing."""


@dataclass
class CacheSettings:
    """Whether, where and for how long what a portal answered is kept."""

    enabled: bool = True
    ttl_seconds: int = 86400
    """0 or less: for ever."""
    lock_timeout_seconds: int = 60
    """For how long one program waits while another one asks."""
    cache_dir: str | None = None


@dataclass(frozen=True)
class PortalSettings:
    """What holds after the environment was asked, which overrides the config."""

    url: str
    access: Access
    s3_endpoint: str | None
    files_root: str | None
    cache: bool
    cache_seconds: int
    cache_folder: str | None
    lock_seconds: int
    file_cache_bytes: int


def settings_of(config: CopickConfigCDP) -> PortalSettings:
    """The settings of a project. Malformed values of the environment are ignored with a warning, as upstream does.

    Raises :class:`SettingsError` for a way of access that lacks what it needs.
    """
    files_root = _text("COPICK_PORTAL_FILES_ROOT", config.portal_files_root)
    s3_endpoint = _text("COPICK_PORTAL_S3_ENDPOINT_URL", config.portal_s3_endpoint_url)
    likely: Access = "file" if files_root else "s3" if s3_endpoint else "https"
    access = _text("COPICK_PORTAL_ACCESS", config.portal_access) or likely
    if access not in ("https", "s3", "file"):
        raise SettingsError(
            f"files cannot be read by way of {access!r}", where="COPICK_PORTAL_ACCESS", fix="say https, s3 or file"
        )
    if access == "file" and not files_root:
        raise SettingsError(
            "where the archive is mounted is not said", where="portal_access", fix="set portal_files_root to its folder"
        )
    kept = cache_settings(config)
    return PortalSettings(
        url=_text("COPICK_PORTAL_URL", config.portal_url) or PUBLIC_PORTAL,
        access=access,  # type: ignore[arg-type]  # checked above
        s3_endpoint=s3_endpoint,
        files_root=files_root,
        cache=kept.enabled,
        cache_seconds=kept.ttl_seconds,
        cache_folder=kept.cache_dir,
        lock_seconds=kept.lock_timeout_seconds,
        file_cache_bytes=_number("COPICK_PORTAL_FILE_CACHE_MB", _megabytes(config)) * 1_000_000,
    )


def cache_settings(config: Any) -> CacheSettings:
    """What the environment, or else the config says of the cache; also of a config that lacks these keys."""
    default = CacheSettings()
    wait = getattr(config, "portal_cache_lock_timeout_seconds", default.lock_timeout_seconds)
    return CacheSettings(
        enabled=_flag("COPICK_PORTAL_CACHE", getattr(config, "portal_cache", default.enabled)),
        ttl_seconds=_number(
            "COPICK_PORTAL_CACHE_TTL", getattr(config, "portal_cache_ttl_seconds", default.ttl_seconds)
        ),
        lock_timeout_seconds=_number("COPICK_PORTAL_CACHE_LOCK_TIMEOUT", wait),
        cache_dir=_text("COPICK_PORTAL_CACHE_DIR", getattr(config, "portal_cache_dir", None)),
    )


def _megabytes(config: CopickConfigCDP) -> int:
    return _FILE_CACHE_MB if config.portal_file_cache_mb is None else config.portal_file_cache_mb


def _text(name: str, configured: str | None) -> str | None:
    return os.environ.get(name, "").strip() or configured


def _flag(name: str, configured: bool) -> bool:
    said = os.environ.get(name, "").strip().lower()
    if said and said not in _WORDS:
        warnings.warn(f"{name}={said!r} is neither yes nor no; {configured} is used", stacklevel=3)
    return _WORDS.get(said, configured)


def _number(name: str, configured: int) -> int:
    said = os.environ.get(name, "").strip()
    try:
        return int(said) if said else configured
    except ValueError:
        warnings.warn(f"{name}={said!r} is no whole number; {configured} is used", stacklevel=3)
        return configured
