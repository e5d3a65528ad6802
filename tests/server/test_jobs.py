"""The workers' own rules: images of many pixels wait for each other, small ones do not."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from crossalign.server.jobs import Budget


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 150), min_size=1, max_size=30))
def test_the_budget_holds_and_everyone_gets_through(sizes: list[int]) -> None:
    budget, lock = Budget(100), threading.Lock()
    held: list[int] = []
    seen: list[list[int]] = []

    def work(size: int) -> None:
        with budget.holding(size):
            with lock:
                held.append(size)
                seen.append(list(held))
            with lock:
                held.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert len(seen) == len(sizes)
    for together in seen:
        large = [size for size in together if size]
        assert sum(together) <= 100 or len(large) == 1


def test_an_error_gives_its_part_back() -> None:
    budget = Budget(10)
    for _ in range(3):
        with contextlib.suppress(ValueError), budget.holding(10):
            raise ValueError
    with budget.holding(10):
        pass


def test_those_who_fit_go_side_by_side() -> None:
    budget, both = Budget(10), threading.Barrier(2)

    def work() -> None:
        with budget.holding(5):
            both.wait(30)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work) for _ in range(2)]:
            future.result(30)
