"""The search behind the approximate synchronizer: the nearest set that fits, checked against trying every combination."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from message_filters.matching import StampQueue, nearest_set

stamps = st.integers(0, 60)
stamp_lists = st.lists(st.lists(stamps, min_size=1, max_size=6, unique=True).map(sorted), min_size=1, max_size=4)


@given(stamp_lists, stamps, st.integers(1, 30))
def test_the_first_lists_get_their_nearest_stamp_of_all_sets_that_fit(
    lists_ns: list[list[int]], centre_ns: int, slop_ns: int
) -> None:
    by_nearness = [sorted(stamps_ns, key=lambda ns: abs(ns - centre_ns)) for stamps_ns in lists_ns]
    fitting = (list(choice) for choice in product(*by_nearness) if max(*choice, centre_ns) - min(*choice, centre_ns) < slop_ns)
    assert nearest_set(lists_ns, centre_ns, slop_ns) == next(fitting, None)


@given(st.lists(stamps, min_size=1, unique=True).map(sorted), stamps)
def test_with_one_other_input_takes_the_nearest_stamp(stamps_ns: list[int], centre_ns: int) -> None:
    found = nearest_set([stamps_ns], centre_ns, 1000)
    assert found is not None
    assert abs(found[0] - centre_ns) == min(abs(ns - centre_ns) for ns in stamps_ns)


def test_slop_itself_is_too_far() -> None:
    assert nearest_set([[10]], 0, 10) is None
    assert nearest_set([[9]], 0, 10) == [9]


def test_no_other_input_matches_at_once() -> None:
    assert nearest_set([], 5, 1) == []


def test_a_long_queue_of_stale_stamps_is_not_walked() -> None:
    class Counting(list[int]):
        reads = 0

        def __getitem__(self, place):  # type: ignore[no-untyped-def]
            found = super().__getitem__(place)
            Counting.reads += len(found) if isinstance(place, slice) else 1
            return found

    stale = Counting(range(100_000))
    assert nearest_set([stale], 10_000_000, 50) is None
    assert Counting.reads < 100


@given(st.lists(st.tuples(stamps, st.integers()), max_size=40), st.integers(1, 5))
def test_queue_keeps_the_newest_stamps_and_the_last_message_of_each(pushes: list[tuple[int, int]], size: int) -> None:
    queue = StampQueue(size)
    model: dict[int, int] = {}
    for stamp_ns, msg in pushes:
        queue.push(stamp_ns, msg)
        model[stamp_ns] = msg
        if len(model) > size:
            del model[min(model)]
        assert queue.stamps_ns == sorted(model)
        assert len(queue) == len(model)
    for stamp_ns, msg in model.items():
        assert stamp_ns in queue
        assert queue.pop(stamp_ns) == msg
    assert len(queue) == 0
    assert queue.stamps_ns == []
