"""Locks and conditions on object stores."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from tomoportal.errors import ConflictError, LockedError, StorageError
from tomoportal.storage import leases, open_store
from tomoportal.storage.objects import ObjectStore, memory_store, s3_store
from tomoportal.storage.owners import is_abandoned, new_token

LEASE = ".tomoportal/locks/name.json"


@pytest.fixture
def store() -> ObjectStore:
    return memory_store()


def foreign(seconds: float, holder: str = "0123abcd-1-0") -> bytes:
    return json.dumps({"holder": holder, "expires": time.time() + seconds}).encode()


def test_tokens_tell_processes_apart() -> None:
    first, second = new_token(), new_token()
    assert first != second
    assert not is_abandoned(first, 0.0)
    host = first.split("-")[0]
    assert is_abandoned(f"{host}-3ffffff0-0", time.time())
    assert not is_abandoned("0123abcd-1-0", time.time())
    assert is_abandoned("0123abcd-1-0", time.time() - 100_000)
    assert not is_abandoned(f"{host}-nonsense-0", 0.0)


def test_a_lease_that_ran_out_is_taken_over(store: ObjectStore) -> None:
    store.put(LEASE, foreign(-60))
    with store.lock("name", timeout=0.1):
        assert json.loads(store.get(LEASE))["holder"] != "0123abcd-1-0"
    assert not store.exists(LEASE)


def test_a_lease_of_another_machine_is_waited_for(store: ObjectStore) -> None:
    store.put(LEASE, foreign(60))
    with pytest.raises(LockedError, match="its lock ends in 65 s"), store.lock("name", timeout=0.1):
        pass
    assert store.exists(LEASE)


def test_a_lease_of_a_dead_process_here_is_taken_at_once(store: ObjectStore) -> None:
    host = new_token().split("-")[0]
    store.put(LEASE, foreign(60, f"{host}-3ffffff0-0"))
    with store.lock("name", timeout=0.1):
        pass


def test_a_lease_with_nonsense_is_taken_over(store: ObjectStore) -> None:
    store.put(LEASE, b"nonsense")
    with store.lock("name", timeout=0.1):
        pass


def test_a_lease_is_renewed(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_RENEWALS", 10_000)
    with store.lock("name") as lock:
        first = json.loads(store.get(LEASE))["expires"]
        end = time.monotonic() + leases.LEASE_SECONDS
        while json.loads(store.get(LEASE))["expires"] == first:
            assert time.monotonic() < end
        lock.check()


def test_a_holder_learns_that_it_lost_its_lease(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_RENEWALS", 10_000)
    with store.lock("name") as lock:
        store.put(LEASE, foreign(60))
        lock._thread.join()  # type: ignore[attr-defined]  # it ends when it finds that out
        with pytest.raises(LockedError, match="was lost"):
            lock.check()
    assert json.loads(store.get(LEASE))["holder"] == "0123abcd-1-0", "the lease of the other holder stays"


def test_a_holder_that_could_not_renew_its_lease_has_lost_it(store: ObjectStore) -> None:
    with store.lock("name") as lock:
        lock._until -= leases.LEASE_SECONDS  # type: ignore[attr-defined]  # as if so much time had passed
        with pytest.raises(LockedError, match="was lost"):
            lock.check()
    assert store.exists(LEASE), "it may be another's already"


class Careless(ObjectStore):
    """A server that answers 200 to a conditional create over an existing key."""

    def _probe(self) -> bool:
        return False


def test_a_server_without_conditions_is_said(caplog: pytest.LogCaptureFixture) -> None:
    inner = memory_store()
    store = Careless(inner._remote, "memory://", "")
    with caplog.at_level(logging.WARNING):
        with store.lock("name"):
            assert store.exists(LEASE)
            with pytest.raises(LockedError), store.lock("name", timeout=0.05):
                pass
        store.put("key", b"1", if_absent=True)
        with pytest.raises(ConflictError):
            store.put("key", b"2", if_absent=True)
        with pytest.raises(ConflictError):
            store.put("key", b"2", if_match="other")
        store.put("key", b"2", if_match=store.stat("key").etag)
    assert [record.message for record in caplog.records] == [
        "memory:// ignores conditional writes: use one writer at a time, changes by others are not detected"
    ]


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3://bucket/p?endpiont=http://x"])
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(StorageError):
        s3_store(url)


def test_what_the_address_does_not_say_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SKIP_SIGNATURE"):
        monkeypatch.delenv(name, raising=False)
    assert s3_store("s3://bucket/a/b?anonymous=true")._remote.config["skip_signature"]
    assert "skip_signature" not in s3_store("s3://bucket/a/b")._remote.config
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-9")
    config = s3_store("s3://bucket")._remote.config
    assert (config["endpoint"], config["region"]) == ("http://127.0.0.1:9000", "eu-west-9")
    config = s3_store("s3://bucket?endpoint=https://host&region=here")._remote.config
    assert (config["endpoint"], config["region"]) == ("https://host", "here")


def test_a_store_in_memory_stays_in_its_process() -> None:
    with pytest.raises(StorageError, match="another process"):
        open_store("memory://").__reduce__()


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StorageError) as caught:
        ObjectStore(_no_retry(), "s3://bucket", "").get("key")
    assert caught.value.where == "key"


def _no_retry() -> Any:
    from obstore.store import S3Store

    return S3Store(
        "bucket",
        config={"endpoint": "http://127.0.0.1:9", "region": "x", "skip_signature": True},
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
