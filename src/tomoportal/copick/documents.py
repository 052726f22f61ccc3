"""What picks, filaments and meshes have in common: one document per user, session and object in a folder of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from tomoportal.copick import versions
from tomoportal.copick.names import DocumentName, document_name
from tomoportal.copick.pickles import Pickled
from tomoportal.copick.sources import Source
from tomoportal.copick.versions import KEPT_VERSIONS, Version
from tomoportal.errors import AnnotationError, NotFoundError, Problem

if TYPE_CHECKING:
    from tomoportal.copick.runs import CopickRun

__all__ = ["RunDocument"]


class RunDocument(Pickled):
    """One document of a run. Its file name says who it is; what the content says about that is mended when saved."""

    _OWN = "_source"
    FOLDER: ClassVar[str]
    ENDING: ClassVar[str]
    WHAT: ClassVar[str]
    LOOSE_OBJECT: ClassVar[bool] = False
    """Whether the object's name may hold underscores, as upstream reads it."""

    run: CopickRun
    read_only: bool

    def _place(
        self, run: CopickRun, name: DocumentName, read_only: bool, source: Source | None, etag: str | None
    ) -> None:
        self.run = run
        self._source = source or run.root._source_for(read_only=read_only)
        self.read_only = read_only or self._source.read_only
        self._name = name
        self._etag = etag
        """The version that this object was listed, loaded or saved with; None if it was not there."""
        self._checksum: int | None = None
        """Of the content of that version, where its tag may come again (C3)."""

    # --- who it is

    @property
    def user_id(self) -> str:
        return self._name.user_id

    @property
    def session_id(self) -> str:
        return self._name.session_id

    @property
    def pickable_object_name(self) -> str:
        return self._name.object_name

    @property
    def from_tool(self) -> bool:
        """Whether a tool made it (session ``"0"``)."""
        return self.session_id == "0"

    @property
    def from_user(self) -> bool:
        return not self.from_tool

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA of the object. Raises :class:`AnnotationError` if the config does not hold it (C45)."""
        found = self.run.root.get_object(self.pickable_object_name)
        if found is None:
            raise AnnotationError(
                f"{self.pickable_object_name} is not a recognized object name (run: {self.run.name}).",
                fix="add it to pickable_objects of the config",
            )
        return found.color

    # --- where it is

    @property
    def _key(self) -> str:
        name = document_name(self.user_id, self.session_id, self.pickable_object_name, self.ENDING)
        return f"{self.run._key}/{self.FOLDER}/{name}"

    @property
    def path(self) -> str:
        """Where the document lies: a local path, or an address."""
        return self._source.where(self._key)

    @property
    def directory(self) -> str:
        return self._source.where(f"{self.run._key}/{self.FOLDER}")

    @property
    def fs(self) -> Any:
        """An fsspec file system that reads :attr:`path`. Raises :class:`MissingPartError` without fsspec."""
        return self.run.root._fsspec(self._source)

    @property
    def _keep(self) -> int:
        kept = self.run.root.config.history
        return KEPT_VERSIONS if kept is None else kept

    # --- reading and saving bytes

    def _read(self, *, first: bool = False) -> bytes:
        """The bytes, of which this object now holds the version; the ``first`` ones may have been fetched ahead.

        Raises :class:`NotFoundError`.
        """
        try:
            read = self._source.read if first else self._source.store.get_version
            data, self._etag = read(self._key)
        except NotFoundError as error:
            raise NotFoundError(f"File not found: {self.path}", fix="refresh the run; somebody removed it") from error
        # Over SSH and SMB tags are times of the server's clock, of whole seconds often.
        is_certain = not self._source.listing.is_remote and self._source.store.is_settled(self._etag)
        self._checksum = None if is_certain else crc32(data)
        return data

    def _decoded(self, data: bytes) -> Any:
        """What the bytes of a document say. Raises :class:`FormatError`."""
        raise AnnotationError(f"{type(self).__name__} has no content of its own")

    def _hold(self, content: Any) -> Any:
        """Take what was decoded for the content, which is stored like this."""
        raise AnnotationError(f"{type(self).__name__} has no content of its own")

    def load(self) -> Any:
        """Read the document; what was changed in memory is lost."""
        return self._hold(self._decoded(self._read()))

    def refresh(self) -> None:
        """Read the document again; what was changed in memory is lost."""
        self.load()

    def _write(self, data: bytes, *, overwrite: bool) -> None:
        self._source.refuse_if_read_only(f"store {self.WHAT}")
        self._etag = versions.save(
            self._source.store,
            self._key,
            data,
            seen=self._etag,
            overwrite=overwrite,
            keep=self._keep,
            checksum=self._checksum,
        )
        self._checksum = crc32(data)

    def _empty(self) -> bytes:
        """The content of a new document, which this object then holds."""
        raise AnnotationError(f"{type(self).__name__} has no content of its own")

    def _create(self, data: bytes) -> bool:
        """Store a new document; false if somebody else has just made it."""
        from tomoportal.errors import ConflictError

        try:
            self._etag = self._source.store.put(self._key, data, if_absent=True)
        except ConflictError:
            return False
        self._checksum = crc32(data)
        return True

    def _check_deletable(self) -> None:
        self._source.refuse_if_read_only(f"delete {self.WHAT}")

    def _delete_data(self) -> None:
        self._check_deletable()
        versions.delete_document(self._source.store, self._key, keep=self._keep)
        self._etag = self._checksum = None

    def delete(self) -> None:
        """Remove the document; its last state stays in the history."""
        self._delete_data()
        self.run._drop(self)

    def history(self) -> list[Version]:
        """The previous versions that are kept, oldest first; restore one with ``restore(version.number)``."""
        return versions.history(self._source.store, self._key)

    def restore(self, version: int | Version, *, overwrite: bool = False) -> None:
        """Make a previous version the current one; the state before that goes to the history.

        Raises as a save does: :class:`ConflictError` if somebody else saved since, unless ``overwrite``.
        """
        data = self._previous(version)
        content = self._decoded(data)
        self._write(data, overwrite=overwrite)
        self._hold(content)

    def _previous(self, version: int | Version) -> bytes:
        number = version.number if isinstance(version, Version) else version
        try:
            return versions.read_version(self._source.store, self._key, number)
        except NotFoundError as error:
            kept = ", ".join(str(each.number) for each in self.history()) or "none"
            raise NotFoundError(f"There is no version {number}.", where=self.path, fix=f"kept are: {kept}") from error

    def _report(self, what: str, fix: str | None = None) -> None:
        self.run.root._note(Problem(self.path, what, fix))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(pickable_object_name={self.pickable_object_name}, user_id={self.user_id},"
            f" session_id={self.session_id}) at {hex(id(self))}"
        )
