"""Arrays on disk that several processes make and read, and what may happen to them there."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from search_spaces.errors import UserError
from tuner.trial.feature_store import CHUNK, ArrayRemoved, ArraySpec, FeatureStore, StoreUnavailable, check_folder

ROWS = 3 * CHUNK - 10


def spec(name: str = "one", columns: int = 4) -> ArraySpec:
    return ArraySpec(name, (ROWS, columns), "float16")


def values(columns: int = 4) -> np.ndarray:
    return np.random.default_rng(columns).normal(size=(ROWS, columns)).astype("float16")


def put(store: FeatureStore, name: str = "one", columns: int = 4) -> None:
    with store.make(spec(name, columns)) as array:
        for chunk in range(array.spec.chunks):
            array.put(chunk, values(columns)[array.spec.rows(chunk)])
        store.publish(array)


def reading(store: FeatureStore, name: str = "one") -> np.ndarray | None:
    found = store.get(name)
    if found is None:
        return None
    with found:
        return np.array(found.values)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", 1e6)


def test_what_is_stored_is_found_by_another_process_as_it_was(store: FeatureStore) -> None:
    assert reading(store) is None
    put(store)
    np.testing.assert_array_equal(reading(FeatureStore(store.folder, 1e6)), values())


def test_an_array_is_absent_until_it_is_whole(store: FeatureStore) -> None:
    with store.make(spec()) as array:
        array.put(0, values()[:CHUNK])
        store.publish(array)
        assert not store.has("one")
        assert (array.has(0), array.has(1)) == (True, False)
    with store.make(spec()) as again:  # whoever comes next goes on where it was left
        assert (again.has(0), again.has(1)) == (True, False)


def test_a_killed_process_leaves_its_chunk_to_others(store: FeatureStore) -> None:
    holding = f"""
import sys, time
from pathlib import Path
from tuner.trial.feature_store import *
array = FeatureStore(Path({str(store.folder)!r}), 1e6).make(ArraySpec("one", ({ROWS}, 4), "float16"))
with array.making(0, 1.0) as is_ours:
    print(is_ours, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", holding], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with store.make(spec()) as array:
            with array.making(0, 0.1) as is_ours:
                assert not is_ours
            other.send_signal(signal.SIGKILL)
            with array.making(0, 10.0) as is_ours:
                assert is_ours
    put(store)
    np.testing.assert_array_equal(reading(store), values())


@pytest.mark.parametrize("damage", ["a bit", "cut short", "record", "no record"])
def test_a_damaged_array_is_gone_and_can_be_made_again(store: FeatureStore, damage: str) -> None:
    put(store)
    data = store.folder / "one" / "data"
    if damage == "a bit":
        content = bytearray(data.read_bytes())
        content[1000] ^= 4
        data.write_bytes(content)
    elif damage == "cut short":
        os.truncate(data, 100)
    elif damage == "no record":
        (store.folder / "one" / "array.json").unlink()
    else:
        (store.folder / "one" / "array.json").write_text('{"shape": ')
    assert reading(FeatureStore(store.folder, 1e6)) is None
    put(FeatureStore(store.folder, 1e6))
    np.testing.assert_array_equal(reading(store), values())


def test_the_array_used_longest_ago_makes_room(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 2.5 * spec().nbytes)
    for name in ("old", "new"):
        put(store, name)
        os.utime(tmp_path / name / "array.json", (time.time() - 100, time.time() - (100 if name == "old" else 50)))
    assert reading(store, "old") is not None  # and so it is the newest now
    put(store, "third")
    assert [store.has(name) for name in ("old", "new", "third")] == [True, False, True]


def test_an_array_that_is_read_stays(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 1.5 * spec().nbytes)
    put(store)
    found = FeatureStore(tmp_path, 1e6).get("one")
    assert found is not None
    with found, pytest.raises(StoreUnavailable, match=r"do not fit into --feature-store-gb .* beside what is in use"):
        store.make(spec("two"))
    put(store, "two")
    assert not store.has("one")


def test_one_in_the_making_stays_too_and_an_abandoned_one_goes(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 1.5 * spec().nbytes)
    with store.make(spec()), pytest.raises(StoreUnavailable, match="do not fit"):
        store.make(spec("two"))
    put(store, "two")
    assert not (tmp_path / "one.part").exists()


def test_who_makes_an_array_that_was_given_up_is_told(store: FeatureStore) -> None:
    with store.make(spec()) as mine, store.make(spec()) as others:
        mine.put(0, values()[:CHUNK])
        store.discard(others)
        with pytest.raises(ArrayRemoved):
            mine.has(0)
        put(store)  # under the same name: still not what is held
        with pytest.raises(ArrayRemoved):
            mine.has(0)


def test_who_comes_when_another_has_finished_gets_it_whole(store: FeatureStore) -> None:
    with store.make(spec()) as late:
        put(store)
        assert all(late.has(chunk) for chunk in range(late.spec.chunks))
        np.testing.assert_array_equal(late.values, values())
        store.publish(late)
    assert sorted(path.name for path in store.folder.iterdir()) == ["CACHEDIR.TAG", "lock", "one"]
    assert sorted(path.name for path in (store.folder / "one").iterdir()) == ["array.json", "data"]


def test_what_cannot_fit_costs_nothing_that_is_kept(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 1.5 * spec().nbytes)
    put(store)
    with pytest.raises(StoreUnavailable, match="do not fit"):
        store.make(spec("huge", columns=100))
    assert store.has("one")


def test_what_is_not_of_the_store_is_never_removed(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 1.5 * spec().nbytes)
    put(store)
    for name in ("album", "album-f2", "album.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_bytes(bytes(spec().nbytes))
    put(store, "two")
    assert not store.has("one")
    assert len(list(tmp_path.glob("album*/data"))) == 3


def test_a_folder_of_others_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"--feature-store .*has other files in it; give the path of an empty or a new"):
        check_folder(tmp_path)
    with pytest.raises(StoreUnavailable, match="other files"):
        FeatureStore(tmp_path, 1e6).make(spec())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--feature-store .*file: is not a folder"):
        check_folder(tmp_path / "file")


def test_a_store_and_a_folder_to_be_are_well(store: FeatureStore) -> None:
    check_folder(store.folder)
    put(store)
    check_folder(store.folder)


def test_one_that_was_killed_while_it_took_its_room_is_begun_anew(store: FeatureStore) -> None:
    store.make(spec()).close()
    os.truncate(store.folder / "one.part" / "data", 100)
    put(store)
    np.testing.assert_array_equal(reading(store), values())


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file"):
        FeatureStore(tmp_path / "file" / "store", 1e6).make(spec())


def test_a_store_that_can_only_be_read_is_read(store: FeatureStore) -> None:
    put(store)
    paths = [store.folder, *store.folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        np.testing.assert_array_equal(reading(FeatureStore(store.folder, 1e6)), values())
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_full_disk_leaves_nothing_torn(store: FeatureStore) -> None:
    """A limit on the size of files stands in for the end of the disk: the same calls fail, at the same places."""
    filling = f"""
import resource
from pathlib import Path
from tuner.trial.feature_store import *
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    FeatureStore(Path({str(store.folder)!r}), 1e6).make(ArraySpec("one", ({ROWS}, 4), "float16"))
except OSError as error:
    print("unavailable", error)
"""
    done = subprocess.run([sys.executable, "-c", filling], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("unavailable"), done.stderr
    assert not list(store.folder.glob("one*"))
    put(store)
    np.testing.assert_array_equal(reading(store), values())


def test_two_at_once_make_each_chunk_once(store: FeatureStore) -> None:
    made: list[int] = []

    def work() -> None:
        with FeatureStore(store.folder, 1e6).make(spec()) as array:
            for chunk in range(array.spec.chunks):
                with array.making(chunk, 5.0) as is_ours:
                    if is_ours and not array.has(chunk):
                        time.sleep(0.05)
                        made.append(chunk)
                        array.put(chunk, values()[array.spec.rows(chunk)])
            store.publish(array)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(made) == [0, 1, 2]
    np.testing.assert_array_equal(reading(store), values())
