# SPDX-License-Identifier: GPL-2.0-only
"""Runs a sweep: one recording for each run, written down in the index, going on where it was left off."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import ExitCode, HostError, InputError, LabError
from lab.run.ports import Narrator
from lab.run.sweepindex import SweepIndex
from lab.sweep.grid import Run, Sweep
from lab.sweep.outcome import MetricRow, RunOutcome

#: Runs that fail one after the other before the lab concludes that none will succeed.
MAX_FAILURES = 3
RUNS_DIRECTORY = "runs"


@dataclass(frozen=True)
class Done:
    """What carrying out one run gave: the exit code that `lab run` would have ended with, and the metrics."""

    exit_code: int
    metrics: tuple[MetricRow, ...]


#: Carries out a run and leaves its recording in a directory that does not exist yet.
Carry = Callable[[Run, Path], Done]
#: About how many seconds a run will take.
Expect = Callable[[Run], float]


@dataclass(frozen=True)
class SweepEnd:
    """How many runs there are, how many of them were done before, and which failed."""

    total: int
    found: int
    failed: tuple[RunOutcome, ...]


class SweepRunner:
    """Carries out the runs of one sweep in `directory`."""

    def __init__(
        self,
        sweep: Sweep,
        directory: Path,
        index: SweepIndex,
        narrator: Narrator,
        carry: Carry,
        expect: Expect,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sweep = sweep
        self._directory = directory
        self._index = index
        self._narrator = narrator
        self._carry = carry
        self._expect = expect
        self._monotonic = monotonic
        self._took_s = self._expected_s = 0.0

    def run(self) -> SweepEnd:
        """Every run that is not finished.

        A run that fails is written down, and tried again when the sweep is run again. Raises what says that no run
        will succeed: InputError, HostError, and the LabError of the last of MAX_FAILURES in a row.
        """
        runs = list(self._sweep.runs())
        left = [run for run in runs if not self._is_finished(run)]
        failed: list[RunOutcome] = []
        in_a_row = 0
        for number, run in enumerate(left):
            self._tell(run, len(runs) - len(left) + number + 1, len(runs), left[number:])
            try:
                self._run_one(run)
                in_a_row = 0
            except (InputError, HostError):
                raise
            except LabError as error:
                failed.append(self._known(run))
                in_a_row += 1
                if in_a_row == MAX_FAILURES:
                    raise
                self._narrator.say(f"{run.point.title}: failed: {error.message.splitlines()[0]}")
        return SweepEnd(len(runs), len(runs) - len(left), tuple(failed))

    def _known(self, run: Run) -> RunOutcome:
        found = self._index.find(run.point.key, run.repeat)
        assert found is not None, "every run is written down before it begins"
        return found

    def _is_finished(self, run: Run) -> bool:
        """Whether the same topology was run there, and its recording is still there."""
        known = self._index.find(run.point.key, run.repeat)
        return (
            known is not None
            and known.status == "finished"
            and known.digest == run.point.digest
            and (self._directory / known.recording / "recording.json").is_file()
        )

    def _run_one(self, run: Run) -> None:
        recording = f"{RUNS_DIRECTORY}/{run.name}"
        begun = RunOutcome(
            run.point.key, run.repeat, run.point.parameters, run.point.digest, "running", recording=recording
        )
        _put_aside(self._directory / recording)
        self._index.write(begun)
        started = self._monotonic()
        try:
            done = self._carry(run, self._directory / recording)
        except LabError as error:
            self._index.write(
                replace(begun, status="failed", exit_code=int(error.exit_code), reason=error.message)
            )
            raise
        except BaseException:
            self._index.write(replace(begun, status="interrupted", exit_code=int(ExitCode.INTERRUPTED)))
            raise
        seconds = self._monotonic() - started
        self._index.write(
            replace(begun, status="finished", exit_code=done.exit_code, seconds=seconds, metrics=done.metrics)
        )
        self._took_s += seconds
        self._expected_s += self._expect(run)

    def _tell(self, run: Run, number: int, total: int, left: Sequence[Run]) -> None:
        """What was measured of this sweep until now corrects what is expected of the rest."""
        expected_s = sum(self._expect(one) for one in left)
        left_s = expected_s * (self._took_s / self._expected_s if self._expected_s else 1.0)
        which = f", run {run.repeat}" if self._sweep.repeats > 1 else ""
        self._narrator.say(f"[{number}/{total}] {run.point.title}{which}; about {render_time(left_s)} left")


def render_time(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def _put_aside(recording: Path) -> None:
    """What is left of a run that did not end stays, beside the new one."""
    if not recording.exists():
        return
    number = 1
    while (aside := recording.with_name(f"{recording.name}.left{number}")).exists():
        number += 1
    recording.rename(aside)
