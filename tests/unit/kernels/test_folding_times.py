# SPDX-License-Identifier: GPL-2.0-only
"""The times that the end-to-end tests state: when avoided vCPUs were empty, and when they were in use again."""

from __future__ import annotations

import pytest
from e2e.folding_times import evaluate_folding

from lab.measure.probestream import Sample, TaskSample
from lab.recording import Event

MS = 1_000_000


def change(at_ms: int, new: str) -> Event:
    return Event(0, "knob", {"node": "guest", "knob": "avoid_cpus", "new": new, "guest_t0_ns": at_ms * MS})


def sample(at_ms: int, *places: int) -> Sample:
    tasks = tuple(TaskSample("busy", task, 50 + task, 0, vcpu, "0-3") for task, vcpu in enumerate(places))
    return Sample(at_ms, at_ms * MS, at_ms * MS, 0, 0, tasks=tasks)


def times(changes: list[Event], samples: list[Sample]) -> tuple[tuple[float | None, ...], ...]:
    found = evaluate_folding(changes, samples, "busy", {2, 3})
    return found.empty_ms, found.full_ms


def test_times_start_with_the_write_and_end_with_the_sample_that_shows_it() -> None:
    changes = [change(100, "2-3"), change(200, "")]
    samples = [sample(90, 0, 2), sample(110, 0, 2), sample(130, 0, 1), sample(210, 0, 3), sample(240, 2, 3)]
    assert times(changes, samples) == ((30.0,), (40.0,))


def test_empty_is_what_lasts_until_the_next_change() -> None:
    samples = [sample(110, 0, 1), sample(120, 0, 3), sample(130, 0, 1), sample(140, 1, 1)]
    assert times([change(100, "2-3")], samples) == ((30.0,), ())


@pytest.mark.parametrize("last", [(0, 2), (3, 3)])
def test_vcpus_that_are_in_use_at_the_end_were_never_empty(last: tuple[int, int]) -> None:
    assert times([change(100, "2-3")], [sample(110, 0, 1), sample(120, *last)]) == ((None,), ())


def test_one_vcpu_in_use_is_not_all_of_them() -> None:
    assert times([change(100, "")], [sample(110, 0, 2), sample(120, 1, 2)]) == ((), (None,))


def test_no_sample_is_no_proof() -> None:
    assert times([change(100, "2-3"), change(110, "")], [sample(105, 0, 2)]) == ((None,), (None,))
