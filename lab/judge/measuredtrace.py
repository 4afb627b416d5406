# SPDX-License-Identifier: GPL-2.0-only
"""What a test compares of a traced vCPU by itself: figures with their error bars."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import UndecidedError
from lab.judge.figure import Figure, render_figure
from lab.judge.preempted import hits_by, length_figure, rate_figure, share_figure

if TYPE_CHECKING:
    from lab.trace.summary import VcpuPreemptions


@dataclass(frozen=True, eq=False)
class Measured:
    """A figure that a test compares with a bound in the same unit.

    `rate < 100` holds if all of the error bar, the clock's error included, is below 100, and does not hold if none
    of it is; in between the comparison raises UndecidedError. `==` with a number raises TypeError.
    """

    what: str
    figure: Figure

    @property
    def value(self) -> float:
        """As it was seen."""
        return self.figure.value

    def __lt__(self, bound: float) -> bool:
        return self._compare(operator.lt, "<", bound)

    def __le__(self, bound: float) -> bool:
        return self._compare(operator.le, "<=", bound)

    def __gt__(self, bound: float) -> bool:
        return self._compare(operator.gt, ">", bound)

    def __ge__(self, bound: float) -> bool:
        return self._compare(operator.ge, ">=", bound)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int | float):
            raise TypeError(f"{self.what} has an error bar and equals no number: compare it with < <= > >=")
        return self is other

    __hash__ = object.__hash__

    def _compare(self, compare: Callable[[float, float], bool], sign: str, bound: float) -> bool:
        if not isinstance(bound, int | float):
            return NotImplemented
        ends = (self.figure.low - self.figure.error, self.figure.high + self.figure.error)
        held = {compare(end, bound) for end in ends}
        if len(held) == 2:
            raise UndecidedError(f"{self} {sign} {bound:g}: the bound lies within the error bar")
        return held.pop()

    def __str__(self) -> str:
        return f"{self.what}: {render_figure(self.figure)}"

    __repr__ = __str__


@dataclass(frozen=True)
class TracedVcpu:
    """Preemptions of one vCPU in one phase, out of the host's trace. `seen` is all that is known of them."""

    seen: VcpuPreemptions

    @property
    def rate(self) -> Measured:
        """Preemptions per second."""
        return self._measured("preemptions", rate_figure(len(self.seen.lengths_ns), self.seen.elapsed_ns))

    @property
    def share(self) -> Measured:
        """Time preempted, per cent of the window."""
        return self._measured("time preempted", share_figure(self.seen))

    def length(self, statistic: str) -> Measured:
        """`statistic` (p50, p90, p99, max) of the lengths of preemptions, in ms.

        Raises UndecidedError where there was none.
        """
        figure = length_figure(self.seen.lengths_ns, statistic, self.seen.error_ns)
        return self._measured(f"{statistic} of preemptions", figure)

    def wakeup_latency(self, statistic: str) -> Measured:
        """The same of the time from a wake-up to running."""
        figure = length_figure(self.seen.latencies_ns, statistic, self.seen.error_ns)
        return self._measured(f"{statistic} of wake-up latency", figure)

    def by(self, taker: str) -> Measured:
        """Preemptions per second by takers whose name begins with these words: ``hog noisy``."""
        count = sum(hit.count for hit in hits_by(self.seen, taker))
        return self._measured(f"preemptions by {taker}", rate_figure(count, self.seen.elapsed_ns))

    def _measured(self, what: str, figure: Figure | None) -> Measured:
        name = f"{what} of {self.seen.node} vcpu {self.seen.vcpu} in phase {self.seen.phase}"
        if figure is None:
            raise UndecidedError(f"{name}: there was none in the window")
        return Measured(name, figure)
