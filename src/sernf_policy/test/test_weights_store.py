"""Which weights run: one load at a time, refusals change nothing, rollbacks pin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sernf_policy.weights_store import Refusal, WeightsFile, WeightsStore


class FakeLoader:
    """Gives what a test wants, when it wants."""

    def __init__(self) -> None:
        self.started: list[WeightsFile] = []
        self.result: Any = None

    def start(self, wanted: WeightsFile) -> None:
        self.started.append(wanted)

    def poll(self) -> Any:
        result, self.result = self.result, None
        return result


class Told(list[tuple[bool, str]]):
    """What a caller hears."""

    def __call__(self, success: bool, message: str) -> None:
        self.append((success, message))


def weights(name: str) -> Any:
    return SimpleNamespace(version=name, sha256=f"sha-{name}", description=SimpleNamespace(file=f"/{name}"))


class Bench:
    """A store, and what stands around it."""

    def __init__(self, *, auto_load: bool = True) -> None:
        self.loader = FakeLoader()
        self.unfit = ""
        self.store = WeightsStore(self.loader, lambda _: self.unfit, auto_load=auto_load, swap_timeout_s=5.0)

    def load(self, name: str, told: Told | None = None) -> Any:
        """Load, check and swap in."""
        loaded = weights(name)
        self.store.load(WeightsFile(f"/{name}"), told or Told())
        self.loader.result = loaded
        self.store.poll(0.0)
        assert self.store.candidate is loaded
        self.store.adopted(loaded)
        return loaded


def test_weights_run_when_the_session_has_changed_to_them_and_not_before() -> None:
    bench, told = Bench(), Told()
    bench.store.load(WeightsFile("/a"), told)
    bench.store.poll(0.0)
    assert (bench.store.loading, told) == ("/a", [])
    loaded = weights("a")
    bench.loader.result = loaded
    bench.store.poll(0.1)
    assert told == []
    assert bench.store.running is None
    bench.store.adopted(loaded)
    assert told == [(True, "a runs")]
    assert (bench.store.running, bench.store.candidate, bench.store.previous) == (loaded, None, None)


def test_a_refusal_leaves_everything_as_it_was_and_says_why() -> None:
    bench, told = Bench(), Told()
    old = bench.load("old")
    bench.store.load(WeightsFile("/bad"), told)
    bench.loader.result = Refusal("it is bad")
    bench.store.poll(0.0)
    assert told == [(False, "it is bad")]
    assert (bench.store.running, bench.store.candidate, bench.store.last_refusal) == (old, None, "it is bad")


def test_weights_that_do_not_fit_this_node_are_refused() -> None:
    bench, told = Bench(), Told()
    bench.unfit = "another rate"
    bench.store.load(WeightsFile("/a"), told)
    bench.loader.result = weights("a")
    bench.store.poll(0.0)
    assert told == [(False, "another rate")]
    assert bench.store.candidate is None


def test_one_load_at_a_time() -> None:
    bench, first, second, third = Bench(), Told(), Told(), Told()
    bench.store.load(WeightsFile("/a"), first)
    bench.store.load(WeightsFile("/b"), second)
    assert second[0][0] is False
    assert "/a is on its way" in second[0][1]
    bench.loader.result = weights("a")
    bench.store.poll(0.0)
    bench.store.load(WeightsFile("/b"), third)
    assert "on its way" in third[0][1]
    assert [item.file for item in bench.loader.started] == ["/a"]
    assert first == []


def test_what_runs_already_is_not_loaded_again() -> None:
    bench, told = Bench(), Told()
    bench.load("a")
    bench.store.load(WeightsFile("/a", "sha-a"), told)
    assert told == [(True, "a runs already")]
    bench.store.announce(WeightsFile("/a", "sha-a"))
    bench.store.poll(1.0)
    assert len(bench.loader.started) == 1


def test_of_announced_weights_the_newest_are_loaded_when_the_loader_is_free() -> None:
    bench = Bench()
    bench.store.load(WeightsFile("/a"))
    for name in ("b", "c"):
        bench.store.announce(WeightsFile(f"/{name}", f"sha-{name}"))
        bench.store.poll(0.0)
    assert [item.file for item in bench.loader.started] == ["/a"]
    loaded = weights("a")
    bench.loader.result = loaded
    bench.store.poll(0.0)
    bench.store.adopted(loaded)
    bench.store.poll(0.0)
    assert [item.file for item in bench.loader.started] == ["/a", "/c"]


def test_without_auto_load_announcements_are_left_alone() -> None:
    bench = Bench(auto_load=False)
    bench.store.announce(WeightsFile("/b"))
    bench.store.poll(0.0)
    assert bench.loader.started == []


def test_a_rollback_brings_back_what_ran_before_and_pins_it() -> None:
    bench, told = Bench(), Told()
    old, new = bench.load("old"), bench.load("new")
    assert bench.store.previous is old
    bench.store.roll_back(0.0, told)
    assert (bench.store.candidate, bench.store.running) == (old, new)
    bench.store.adopted(old)
    assert told[0][0] is True
    assert (bench.store.running, bench.store.previous, bench.store.pinned) == (old, None, True)
    bench.store.announce(WeightsFile("/next", "sha-next"))
    bench.store.poll(0.0)
    assert len(bench.loader.started) == 2, "what is announced waits"
    bench.load("by-hand")
    assert not bench.store.pinned


def test_there_is_not_always_something_to_roll_back_to() -> None:
    bench, told = Bench(), Told()
    bench.load("only")
    bench.store.roll_back(0.0, told)
    assert told == [(False, "expected weights that ran before, there are none")]
    bench.load("second")
    bench.store.load(WeightsFile("/third"))
    bench.store.roll_back(0.0, told)
    assert "on their way" in told[1][1]


def test_weights_that_are_never_swapped_in_are_given_up() -> None:
    bench, told = Bench(), Told()
    bench.store.load(WeightsFile("/a"), told)
    bench.loader.result = weights("a")
    bench.store.poll(10.0)
    bench.store.poll(14.0)
    assert told == []
    bench.store.poll(15.1)
    assert told[0][0] is False
    assert "a was not swapped in within 5 s" in told[0][1]
    assert bench.store.candidate is None


def test_whoever_waits_when_the_node_ends_is_told() -> None:
    bench, told = Bench(), Told()
    bench.store.load(WeightsFile("/a"), told)
    bench.store.close("the policy has been stopped")
    assert told == [(False, "the policy has been stopped")]
