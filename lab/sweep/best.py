# SPDX-License-Identifier: GPL-2.0-only
"""Which point of a grid does best, and how surely: an empirical default, against its neighbours.

A default is good where moving a little away from it is no better; whether it is worse can be told with error bars
only. The best of many points looks better than it is, as chance has helped to choose it: its own mean is no
promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lab.errors import InputError, UndecidedError
from lab.stats.change import Samples, Scale
from lab.stats.compare import Change, Comparison, Question, Rule, compare
from lab.sweep.grid import point_key
from lab.sweep.outcome import Measured, PointValues
from lab.sweep.spec import Value


@dataclass(frozen=True)
class Neighbour:
    """A point one step away in one parameter, and how it does against the best."""

    point: PointValues
    comparison: Comparison


@dataclass(frozen=True)
class FoundDefault:
    """The point with the best mean of `of` points that were measured, and its neighbours in the grid."""

    measured: Measured
    best: PointValues
    neighbours: tuple[Neighbour, ...]
    of: int

    @property
    def is_sure(self) -> bool:
        """Whether every neighbour is known to be worse, or as good."""
        return all(one.comparison.verdict is not Change.INCONCLUSIVE for one in self.neighbours)


def find_default(
    parameters: Mapping[str, Sequence[Value]], measured: Measured, rule: Rule | None = None
) -> FoundDefault:
    """The best point and its neighbours, which are compared with it together (lab.stats.compare).

    Raises InputError for a metric of which neither more nor less is better, UndecidedError where no point has a
    sound value.
    """
    if measured.better == "neither":
        raise InputError(
            f"{measured.sought.text}: neither more nor less of it is better, so no point is the best"
        )
    sound = {key: point for key, point in measured.points.items() if point.values}
    if not sound:
        raise UndecidedError(f"{measured.sought.text}: no point has a value that counts")
    sign = 1 if measured.better == "higher" else -1
    best = max(sound.values(), key=lambda point: sign * fmean(point.values))
    near = [sound[key] for key in _neighbours(parameters, best.parameters) if key in sound]
    scale: Scale = "points" if measured.unit == "%" else "percent"
    questions = [Question(Samples(best.values, one.values, scale=scale), measured.better) for one in near]
    compared = compare(questions, rule or Rule())
    return FoundDefault(measured, best, tuple(map(Neighbour, near, compared)), len(sound))


def _neighbours(parameters: Mapping[str, Sequence[Value]], here: Mapping[str, Value]) -> Iterator[str]:
    for name, values in parameters.items():
        place = list(values).index(here[name])
        for other in (place - 1, place + 1):
            if 0 <= other < len(values):
                yield point_key({**here, name: values[other]})


def render_default(found: FoundDefault) -> str:
    """The best point, each neighbour with its change and interval, and what that comes to."""
    measured, mean = found.measured, fmean(found.best.values)
    lines = [
        f"best of {found.of} points by {measured.sought.text}: {_title(found.best)}",
        f"  mean {mean:.6g} {measured.unit}".rstrip() + f", N {len(found.best.values)}",
    ]
    if found.neighbours:
        lines.append("its neighbours against it:")
        width = max(len(_title(one.point)) for one in found.neighbours)
        lines += [f"  {_title(one.point):<{width}}  {_render(one.comparison)}" for one in found.neighbours]
    return "\n".join([*lines, *_conclude(found)]) + "\n"


def _title(point: PointValues) -> str:
    return " ".join(f"{name}={value}" for name, value in point.parameters.items())


def _render(done: Comparison) -> str:
    unit = "points" if done.scale == "points" else "%"
    change = "-" if done.change is None else f"{done.change:+.1f} {unit}"
    interval = "" if done.interval is None else f" [{done.interval.low:+.1f}, {done.interval.high:+.1f}]"
    return f"{change}{interval}, N {done.other.n}: {done.verdict}"


def _conclude(found: FoundDefault) -> Iterator[str]:
    verdicts = [one.comparison.verdict for one in found.neighbours]
    if not verdicts:
        yield "no neighbour was measured: nothing says that this is more than chance"
    elif all(verdict is Change.REGRESSED for verdict in verdicts):
        yield "every neighbour is worse: a default that stands out"
    elif found.is_sure:
        yield "no neighbour is better, and some are as good: a default on a plateau"
    else:
        more = [one.comparison.more_repeats for one in found.neighbours if one.comparison.more_repeats]
        need = f"; about {max(more)} more runs of each would tell" if more else "; more repeats are needed"
        yield f"not every neighbour can be told apart from it{need}"
