# SPDX-License-Identifier: GPL-2.0-only
"""Figures out of what loads print: by a regular expression, or by a parser of their own."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from lab.measure.ktap import parse_ktap
from lab.plan.labplan import LoadMetricPlan

_Fields = Mapping[str, float]

_PING_REPLY = re.compile(r"^\d+ bytes from .*seq=\d+ .*time=([0-9.]+) ms$", re.MULTILINE)
_PING_END = re.compile(r"^(\d+) packets transmitted, (\d+) (?:packets )?received", re.MULTILINE)
_NS_PER_US = 1000


class OutputError(ValueError):
    """Output that does not have what it should; the text says what."""


def percentile(times: Sequence[tuple[float, int]], share: float) -> float:
    """The least value at or below which `share` (0..1) of all lie; `times` are (value, count), rising."""
    wanted, seen = share * sum(count for _, count in times), 0
    for value, count in times:
        seen += count
        if count and seen >= wanted:
            return value
    return times[-1][0]


def parse_ping(text: str) -> _Fields:
    """busybox ping: p50, p99 and max of the round trips in us, `lost` per cent of the echoes."""
    end = _PING_END.search(text)
    if end is None:
        raise OutputError("no line that says how many packets were transmitted")
    sent, received = int(end[1]), int(end[2])
    lost = {"lost": 100.0 * (sent - received) / sent} if sent else {}
    times = sorted(float(found) * 1000 for found in _PING_REPLY.findall(text))
    if not times:
        return lost
    counted = [(time, 1) for time in times]
    return {**lost, "p50": percentile(counted, 0.5), "p99": percentile(counted, 0.99), "max": times[-1]}


def parse_cyclictest_json(text: str) -> _Fields:
    """`cyclictest --histogram --json`: p50, p99 and max in us over all threads.

    A percentile beyond the histogram is told as the max.
    """
    try:
        threads = _cyclictest_threads(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OutputError("no whole JSON of its threads") from None
    most = max((most for most, _, _ in threads), default=0.0)
    counts: Counter[float] = Counter()
    for _, cycles, histogram in threads:
        counts.update(histogram)
        counts[most] += max(0, cycles - sum(histogram.values()))
    if not sum(counts.values()):
        raise OutputError("no wake-up in it")
    counted = sorted(counts.items())
    return {"p50": percentile(counted, 0.5), "p99": percentile(counted, 0.99), "max": most}


def _cyclictest_threads(text: str) -> list[tuple[float, int, dict[float, int]]]:
    """(max, cycles, counts by us) of each thread. What it printed before the JSON does not matter."""
    begin = re.search(r"^\{$", text, re.MULTILINE)
    document = json.JSONDecoder().raw_decode(text, begin.start())[0] if begin else {}
    return [
        (
            float(one["max"]),
            int(one["cycles"]),
            {float(us): int(count) for us, count in one["histogram"].items()},
        )
        for one in document["thread"].values()
    ]


def parse_pvlock(text: str) -> _Fields:
    """images/probe/pvlock.c: operations per second; p50, p99 and max of waits and holds in us."""
    lines = {
        line.split()[0]: _pairs(line) for line in text.splitlines() if re.match(r"(pvlock|hold|wait) ", line)
    }
    head = lines.get("pvlock", {})
    if not head.get("elapsed_ns") or "operations" not in head:
        raise OutputError("no line that begins with pvlock and has elapsed_ns and operations")
    found = {"operations": head["operations"] * 1e9 / head["elapsed_ns"]}
    for name in ("wait", "hold"):
        times = lines.get(name, {})
        if times.get("count"):
            found.update(
                (f"{name}_{what}", times[f"{what}_ns"] / _NS_PER_US)
                for what in ("p50", "p99", "max")
                if f"{what}_ns" in times
            )
    return found


def parse_selftests(text: str) -> _Fields:
    """kselftest (lab.measure.ktap): how many tests passed, failed, skipped."""
    found = parse_ktap(text)
    if found is None:
        raise OutputError("no TAP in it")
    if found.missing:
        have = "has" if found.missing == 1 else "have"
        raise OutputError(f"{found.missing} of the tests announced {have} no result")
    return {
        "passed": float(found.count("pass")),
        "failed": float(found.count("fail")),
        "skipped": float(found.count("skip")),
    }


def _pairs(line: str) -> dict[str, float]:
    return {key: float(value) for key, value in re.findall(r"(\w+)=(\d+)(?=\s|$)", line)}


#: By the names that lab.loads.model.ParserName lists.
PARSERS: Mapping[str, Callable[[str], _Fields]] = {
    "cyclictest-json": parse_cyclictest_json,
    "ktap": parse_selftests,
    "ping": parse_ping,
    "pvlock": parse_pvlock,
}

_TAKES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "first": lambda found: found[0],
    "last": lambda found: found[-1],
    "sum": sum,
    "mean": fmean,
    "max": max,
    "min": min,
}


def read_metric(metric: LoadMetricPlan, text: str) -> float:
    """The figure of `metric` in a load's output. Raises OutputError where it is not there, or not once.

    A last line that does not end may have been cut short, so it does not count.
    """
    text = text[: text.rfind("\n") + 1]
    number = _by_pattern(metric, text) if metric.parser is None else _by_parser(metric, text)
    if metric.amount is not None and number == 0:
        raise OutputError("0, of which no rate can be made")
    value = (number if metric.amount is None else metric.amount / number) * metric.scale
    if not math.isfinite(value):
        raise OutputError(f"{value}, which is no figure")
    return value


def _by_parser(metric: LoadMetricPlan, text: str) -> float:
    parse = PARSERS.get(metric.parser or "")
    if parse is None:
        raise OutputError(f"parser {metric.parser} is not known to this lab")
    fields = parse(text)
    name = metric.field or metric.name
    if name not in fields:
        raise OutputError(f"no {name} in it")
    return fields[name]


def _by_pattern(metric: LoadMetricPlan, text: str) -> float:
    found = re.findall(metric.pattern or "", text, re.MULTILINE)
    if not found:
        raise OutputError(f"nothing matches {metric.pattern}")
    if metric.take == "only" and len(found) > 1:
        raise OutputError(f"{len(found)} matches of {metric.pattern}, where one is expected")
    numbers = [_number(one) for one in found]
    return numbers[0] if metric.take == "only" else _TAKES[metric.take](numbers)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OutputError(f"{text!r} is not a number") from None
