# SPDX-License-Identifier: GPL-2.0-only
"""What the lab changed while a window was measured, and what loads marked in it: moments of a timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.measure.happened import EventLike
from lab.plan.labplan import HOST_SCOPE
from lab.units import format_cpulist

if TYPE_CHECKING:
    from lab.trace.model import TracedWindow


@dataclass(frozen=True)
class Moment:
    """Something that happened at `t_ns` of the host's clock to `subject` (a node, guest/vcpu, a hog, or host)."""

    t_ns: int
    subject: str
    text: str


def _change(data: Mapping[str, Any]) -> str:
    old, new = (str(data.get(key, "")) or "(empty)" for key in ("old", "new"))
    return f"{old} -> {new}"


#: The events that change something, in words.
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "knob": lambda data: f"knob {data.get('knob')}: {_change(data)}",
    "knob-restored": lambda data: f"knob {data.get('knob')} restored: {_change(data)}",
    "contention": lambda data: f"{data.get('what')}: {_change(data)}",
    "load-start": lambda data: f"load {data.get('load')} starts",
    "load-stop": lambda data: f"load {data.get('load')} stops",
    "hog-start": lambda data: "hog starts",
    "hog-stop": lambda data: "hog stops",
    "govern": lambda data: f"governor: {data.get('action')}, folded {_list(data.get('after'))}",
    "restart": lambda data: "started anew",
}


def _list(vcpus: object) -> str:
    return (format_cpulist(vcpus) or "none") if isinstance(vcpus, (list, tuple)) else str(vcpus)


def moments_of_events(events: Iterable[EventLike]) -> Iterator[Moment]:
    """Those that changed something, in their order."""
    for event in events:
        words = _WORDS.get(event.kind)
        if words is not None:
            yield Moment(event.t_ns, _subject(event.data), words(event.data))


def _subject(data: Mapping[str, Any]) -> str:
    node = str(data.get("node") or data.get("hog") or HOST_SCOPE)
    if node == HOST_SCOPE:
        return str(data.get("guest") or "host")
    return f"{node}/{data['vcpu']}" if "vcpu" in data else node


def moments_of_marks(window: TracedWindow) -> Iterator[Moment]:
    """What tasks in guests wrote into their traces, and what their kernels told of themselves."""
    for node, trace in window.guests.items():
        for said, before in ((trace.marks, "mark: "), (trace.notes, "")):
            for t_ns, vcpu, text in zip(said.t_ns.tolist(), said.cpu.tolist(), said.text, strict=True):
                yield Moment(t_ns, f"{node}/{vcpu}", f"{before}{text.strip()}")
