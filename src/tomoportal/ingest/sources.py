"""Where raw files come from: the source root, the folder of one config below it, and the files beside the config.

Keys in plans and manifests are relative to the source root, so that the same tree at another place gives the same
bytes. An absolute ``source_prefix`` (path or URL) is a root of its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from tomoportal.errors import ConfigError, NotFoundError, Problem
from tomoportal.ingest.trees import OutsideError, Tree, join
from tomoportal.storage import Store, open_store

__all__ = ["LINKS_FIX", "RAW_BUCKET", "ROOT_OPTION", "LinkError", "SourceRoot", "is_remote", "open_source"]

RAW_BUCKET = "cryoetportal-rawdatasets-dev"
"""First part of key-photo paths in the public portal's configs; it stands for the source root."""

ROOT_OPTION = "--source (verify: --source-root)"
"""How the commands call the source root."""

LINKS_FIX = "put the files themselves there; or, if you trust the folder, give --follow-links"
"""What to do about links that lead out of the source folder."""


@dataclass
class SourceRoot:
    """The raw bucket's stand-in: a store, the prefix of the config in it, and remembered listings."""

    store: Store
    prefix: str = ""
    beside: Store | None = None
    """Folder of the config file, the second place where map files are looked for."""
    listing: Store | None = None
    """The same root with the links that lead out, which ``store`` refuses to follow; so they can be named."""

    def __post_init__(self) -> None:
        self.tree = Tree(self.listing or self.store, lenient_below=self.prefix)
        root = None if self.listing is None else self.store.local_path("")
        self._root = None if root is None else f"{str(root).rstrip('/')}/"
        self._links: dict[str, tuple[str, bool, frozenset[str]]] = {}

    def check_inside(self, key: str) -> None:
        """Raise `OutsideError` for a source that is a link out of the root, or lies behind one."""
        if self._root is None:
            return
        folder, _, name = key.rstrip("/").rpartition("/")
        if folder not in self._links:
            real = os.path.realpath(self._root + folder)
            self._links[folder] = (real, f"{real}/".startswith(self._root), _links_of(real))
        real, is_inside, links = self._links[folder]
        if is_inside and name not in links:
            return
        path = os.path.realpath(f"{real}/{name}")
        if not path.startswith(self._root):
            raise LinkError(f"{key} is a link out of the source folder, to {path}")

    def glob(self, pattern: str) -> list[str]:
        """Keys (relative to the root) that match a pattern below the config's source folder."""
        if pattern.startswith("/"):
            raise OutsideError(f"{pattern!r} is absolute; globs are relative to source_prefix")
        return self.tree.glob(join(self.prefix, pattern))

    def key_photo(self, path: str) -> str:
        """Key of a key photo that a config names: relative to the root, without the raw bucket's name."""
        for head in (f"s3://{RAW_BUCKET}/", f"{RAW_BUCKET}/"):
            if path.startswith(head):
                return join(path[len(head) :])
        return join(path)

    def read_map(self, name: str) -> bytes | None:
        """Bytes of a map file in the source folder, else beside the config, else None."""
        if ".." in name.split("/"):
            return None
        places: list[tuple[Store, str]] = [(self.store, join(self.prefix, name))]
        if self.beside is not None:
            places += [(self.beside, join(name)), (self.beside, name.rpartition("/")[2])]
        for store, key in places:
            try:
                return store.get(key)
            except NotFoundError:
                continue
        return None


class LinkError(OutsideError):
    """A symbolic link that leaves the source folder."""


def open_source(
    url: str | os.PathLike[str],
    prefix: str,
    *,
    beside: Store | None = None,
    place: str = "source_prefix",
    follow_links: bool = False,
) -> SourceRoot:
    """Open the source root; an absolute ``prefix`` (path or URL) takes the place of ``url``.

    ``place`` says where the prefix is written (``file:line``). Raises `ConfigError` for a folder that is not there.
    Symbolic links that lead out of the root are refused unless ``follow_links``: who made the folder would choose what
    of this machine is published.
    """
    if is_remote(prefix) or prefix.startswith("/"):
        try:
            store, listing = _opened(prefix, follow_links)
        except NotFoundError as error:
            fix = "create it, or correct source_prefix"
            raise _refused(place, f"the source folder {prefix}: {error.what}", fix) from error
        if is_remote(prefix) and not store.is_folder(""):
            raise _refused(place, f"there is nothing below {prefix}", "correct source_prefix")
        return SourceRoot(store, "", beside, listing)
    if ".." in prefix.split("/"):
        fix = f"give {ROOT_OPTION}, or an absolute path as source_prefix"
        raise _refused(place, f"{prefix!r} leaves the source root", fix)
    (store, listing), prefix = _opened(url, follow_links), join(prefix)
    if prefix and not (listing or store).is_folder(prefix):
        what = "is a file, not a folder" if (listing or store).exists(prefix) else "does not exist"
        fix = f"correct source_prefix, or give the folder that it lies in as {ROOT_OPTION}"
        raise _refused(place, f"the source folder {store.url.rstrip('/')}/{prefix} {what}", fix)
    return SourceRoot(store, prefix, beside, listing)


def _opened(url: str | os.PathLike[str], follow_links: bool) -> tuple[Store, Store | None]:
    """The store of the sources and, where it refuses links, one that lists them."""
    follower = open_store(url, read_only=True, follow_links=True)
    if follow_links or follower.local_path("") is None:
        return follower, None
    return open_store(url, read_only=True), follower


def _refused(place: str, what: str, fix: str) -> ConfigError:
    return ConfigError([Problem(place, what, fix)])


def _links_of(folder: str) -> frozenset[str]:
    """The names of the symbolic links in a folder; one that cannot be listed is told elsewhere."""
    try:
        with os.scandir(folder) as found:
            return frozenset(entry.name for entry in found if entry.is_symlink())
    except OSError:
        return frozenset()


def is_remote(text: str) -> bool:
    """Whether a text is a URL."""
    return "://" in text
