"""Any history of publications, removals, failures and deaths leaves what a plain dictionary says."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tomoportal.archive import Archive, Container, ItemRecord, verify
from tomoportal.errors import StorageError
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore, Killed

_Files = dict[str, bytes]

RUN = Container.run(10001, "TS_1")
names = st.sampled_from("abc")
contents = st.dictionaries(st.sampled_from(["1", "2", "x.zarr/0", "x.zarr/1"]), st.binary(max_size=2), max_size=4)
faults = st.none() | st.tuples(st.integers(0, 20), st.booleans())


class ArchiveMachine(RuleBasedStateMachine):
    """The model: files by key for each item."""

    @initialize()
    def start(self) -> None:
        self.store = open_store("memory://")
        self.model: dict[str, dict[str, bytes]] = {}
        self.ids: dict[str, int] = {}

    def attempt(
        self, name: str, expected: dict[str, bytes] | None, fault: tuple[int, bool] | None, action: Any
    ) -> None:
        store = self.store
        if fault:
            store = FaultyStore.only_writes(self.store, fail_at=fault[0], kill=fault[1])
        try:
            action(Archive.open(store))
        except (StorageError, Killed):
            Archive.open(self.store).recover()
            self.store.delete_tree(".tomoportal/staging")  # of this process, which only seems to have died
            item = Archive.open(self.store).manifest(RUN).items.get(("gain", name))
            after = None if item is None else {record.key: record.sha256 for record in item.files}
            if after != _digests(expected):
                assert after == _digests(self.model.get(name)), "neither the old item nor the new one"
                return
        if expected is None:
            self.model.pop(name, None)
        else:
            self.model[name] = expected

    @rule(name=names, content=contents, fault=faults)
    def publish(self, name: str, content: dict[str, bytes], fault: tuple[int, bool] | None) -> None:
        files = {f"{RUN.key}/Gains/{name}{key}": data for key, data in content.items()}

        def action(archive: Archive) -> None:
            with archive.stage(RUN, "gain", name) as staging:
                for key, data in files.items():
                    staging.store.put(key, data)
                archive.publish(RUN, ItemRecord("gain", name), staging)

        self.attempt(name, files, fault, action)

    @rule(name=names, fault=faults)
    def remove(self, name: str, fault: tuple[int, bool] | None) -> None:
        if name in self.model:
            self.attempt(name, None, fault, lambda archive: archive.remove_item(RUN, "gain", name))

    @rule(name=names)
    def allocate(self, name: str) -> None:
        number = Archive.open(self.store).allocate(RUN, "gain", RUN.key, name)
        assert number == self.ids.setdefault(name, 100 + len(self.ids))

    @invariant()
    def the_tree_is_the_model(self) -> None:
        archive = Archive.open(self.store)
        found = {stat.key: self.store.get(stat.key) for stat in self.store.list("10001")}
        assert found == {key: data for files in self.model.values() for key, data in files.items()}
        assert {key for _, key in archive.manifest(RUN).items} == set(self.model)
        # Its files are called after nothing that a camera writes (V713).
        assert [each for each in verify(archive) if each.rule != "V713"] == []
        assert self.store.children(".tomoportal")[0] in ([], ["manifest"])


def _digests(files: dict[str, bytes] | None) -> dict[str, str] | None:
    return None if files is None else {key: hashlib.sha256(data).hexdigest() for key, data in files.items()}


TestHistory = ArchiveMachine.TestCase
TestHistory.settings = settings(max_examples=40, stateful_step_count=12)
