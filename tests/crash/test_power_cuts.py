"""The power fails before each file-system call: what was not synced is lost, all of it or any part of it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk import Disk, State, cut
from lake_work import HOUR, check_whole, collect_all, commit, log_of, make_input, open_lake, read

from headrace.backends.stores import local
from headrace.backends.stores.local import LocalStore
from headrace.core.errors import HeadraceError
from headrace.core.interval import Interval
from headrace.core.manifest import Content

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the shim asks Linux which file a descriptor is")

NEXT = Interval.of("2026-11-20T09", "2026-11-20T10")


class Machine:
    """A disk with a lake on it, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.disk = Disk(folder / "disk")
        self.lake = folder / "disk" / "data" / "lake"
        self._cuts = 0

    def act(self, what: Callable[..., object], *more: object, dies_at: int = 0, seen: list[State] | None = None) -> int:
        return self.disk.act(lambda: what(self.lake, *more), dies_at=dies_at, seen=seen)

    def left(self, states: Sequence[State] = (), *, tries: int = 4) -> Iterator[Path]:
        """The lakes that power cuts leave, now or at some states: with nothing but what is durable, then with a few things more."""
        for state in states or [self.disk.state()]:
            for luck in range(tries):
                self._cuts += 1
                target = self._folder / f"cut {self._cuts}"
                cut(state, self.disk.root_id(), target, random.Random(self._cuts) if luck else None)
                yield target / "data" / "lake"


@pytest.fixture
def machines(tmp_path: Path) -> Callable[[], Machine]:
    numbers = iter(range(1000))
    return lambda: Machine(tmp_path / f"machine {next(numbers)}")


def test_after_a_power_cut_a_reader_sees_the_old_or_the_new_and_a_rerun_ends_the_same(machines: Callable[[], Machine]) -> None:
    machine, states, seen = machines(), [], set()
    machine.act(make_input)
    machine.act(commit, "old")
    machine.act(commit, "new", seen=states)
    for left in machine.left(states):
        seen.add(read(left))
        check_whole(left)
        assert commit(left, "new").version == 2
        assert read(left) == "new"
    assert seen == {"old", "new"}


def test_after_a_power_cut_the_first_commit_of_a_lake_is_there_or_not(machines: Callable[[], Machine]) -> None:
    machine, states, seen = machines(), [], set()
    machine.act(commit, "new", seen=states)
    for left in machine.left(states):
        seen.add(read(left))
        commit(left, "new")
        assert read(left) == "new"
    assert seen == {None, "new"}


def test_a_commit_that_returned_survives(machines: Callable[[], Machine]) -> None:
    machine = machines()
    for act, more, code in ((commit, "old", "old"), (commit, "new", "new"), (collect_all, None, "new")):
        machine.act(act, *filter(None, [more]))
        for left in machine.left(tries=8):
            assert read(left) == code


def test_a_collection_never_deletes_what_a_power_cut_would_bring_back(machines: Callable[[], Machine]) -> None:
    """The collector may see a commit that its writer has linked and not synced yet."""
    machine = machines()
    machine.act(commit, "old")
    calls = machine.act(commit, "new")
    for k in range(calls - 12, calls + 1):
        machine, states = machines(), []
        machine.act(commit, "old")
        machine.act(commit, "new", dies_at=k)
        machine.act(collect_all, seen=states)
        for left in machine.left(states, tries=2):
            assert read(left) in ("old", "new")


@pytest.mark.parametrize("interval", [HOUR, NEXT], ids=["adopting what it made", "in the folders that it made"])
def test_what_was_committed_beside_a_writer_that_stopped_anywhere_survives(interval: Interval, machines: Callable[[], Machine]) -> None:
    """One process stops before its k-th call and syncs nothing more; another commits on what it sees; then the power fails."""
    for k in range(1, machines().act(commit, "new") + 1):
        machine = machines()
        machine.act(commit, "new", dies_at=k)
        machine.act(commit, "new", interval)
        for left in machine.left(tries=2):
            assert read(left, interval) == "new"


def test_what_was_made_from_an_input_implies_it(machines: Callable[[], Machine]) -> None:
    """The input's writer stops anywhere; whoever saw its entry makes it durable before building on it."""
    for k in range(1, machines().act(make_input) + 1):
        machine = machines()
        machine.act(make_input, dies_at=k)
        machine.act(commit, "new")
        for left in machine.left(tries=3):
            assert read(left) == "new"
            check_whole(left)


def test_a_commit_syncs_no_more_than_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour after another in the same process: the file, its folder, the new hour in its day; the manifest, its month."""
    log = log_of(open_lake(tmp_path / "lake"))
    synced: list[str] = []

    def commit_one(interval: Interval) -> None:
        def work(attempt, _):
            attempt.file("rows", layer="gold").write_bytes(b"rows")
            return Content("data", parts=(attempt.part("rows", "gold"),), fingerprint="x"), {}

        log.commit(interval, work)

    commit_one(HOUR)
    monkeypatch.setattr(local.os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    commit_one(NEXT)
    file, attempt_folder, hour, day, _manifest, month = synced
    assert (file, attempt_folder[:13], hour, day, month) == ("rows-0000.parquet", "00-60m.000001", "09", "20", "11")


# ---------------------------------------------------------------- a store that syncs less is caught


def _no_file_is_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalStore, "publish", lambda self, keys, digests: self.confirm(keys))  # the folders only


def _no_entry_is_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(local, "_flush", lambda _: None)


def _an_entry_is_written_in_place(patch: pytest.MonkeyPatch) -> None:
    def create(self: LocalStore, key: str, data: bytes) -> bool:
        self.stage(key)
        try:
            local._write(self._file(key), data)
        except FileExistsError:
            return False
        self.confirm([key])
        return True

    patch.setattr(LocalStore, "create", create)


def _only_the_folder_itself_is_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalStore, "_settle", lambda _, folders: [local._sync(folder) for folder in folders])


def _folders_that_were_there_are_taken_for_durable(patch: pytest.MonkeyPatch) -> None:
    made = LocalStore._make_folder

    def make_folder(self: LocalStore, folder: str) -> None:
        if Path(folder).is_dir():
            self._durable.add(folder)
        made(self, folder)

    patch.setattr(LocalStore, "_make_folder", make_folder)


def _what_was_seen_is_built_upon(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalStore, "confirm", lambda self, keys: None)
    patch.setattr(
        LocalStore,
        "publish",
        lambda self, keys, digests: (
            [local._sync(self._file(k)) for k in keys],
            self._settle([self._file(k).rpartition("/")[0] for k in keys]),
        ),
    )


_TESTS = {
    _no_file_is_synced: test_a_commit_that_returned_survives,
    _no_entry_is_synced: test_a_commit_that_returned_survives,
    _an_entry_is_written_in_place: test_after_a_power_cut_a_reader_sees_the_old_or_the_new_and_a_rerun_ends_the_same,
    _only_the_folder_itself_is_synced: test_a_commit_that_returned_survives,
    _folders_that_were_there_are_taken_for_durable: lambda machines: test_what_was_committed_beside_a_writer_that_stopped_anywhere_survives(
        NEXT, machines
    ),
    _what_was_seen_is_built_upon: lambda machines: test_what_was_committed_beside_a_writer_that_stopped_anywhere_survives(HOUR, machines),
}


@pytest.mark.parametrize("mutant", _TESTS, ids=lambda mutant: mutant.__name__.strip("_"))
def test_a_store_that_syncs_less_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None], machines: Callable[[], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, HeadraceError)):
        _TESTS[mutant](machines)
