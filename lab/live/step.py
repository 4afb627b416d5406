# SPDX-License-Identifier: GPL-2.0-only
"""From one state of a running lab to the next: looks, events of the run's journal, and what else happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from lab.live.feed import Look
from lab.live.rows import vcpu_rows
from lab.live.state import (
    KEPT_HAPPENINGS,
    KEPT_LINES,
    KEPT_TREND,
    SPAN_NS,
    Happening,
    Heard,
    LiveState,
    Phase,
    Tone,
    running_loads,
)
from lab.measure.consolefindings import parse_findings
from lab.measure.happened import EventLike
from lab.measure.probestream import ProbeStream
from lab.plan.labplan import HOST_SCOPE
from lab.report.eventwords import event_in_words


@dataclass(frozen=True)
class Trouble:
    """Nothing new comes, and why; empty where it does again."""

    text: str


@dataclass(frozen=True)
class Said:
    """Whole new lines of a console that no look brings: the host's own (HOST_SCOPE)."""

    source: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Restarted:
    """A guest was started anew."""

    node: str


Update = Look | Happening | Trouble | Said | Restarted | EventLike


def take_look(state: LiveState, look: Look) -> LiveState:
    """The state after a look."""
    heard = dict(state.heard)
    for name, stream in look.streams.items():
        grown = _grow(heard.get(name), stream, look.t_ns)
        if grown is not None:
            heard[name] = grown
    host = look.streams.get(HOST_SCOPE, ProbeStream(None))
    new = replace(
        _take_texts(_timed(state, look.t_ns), look.texts),
        t_ns=look.t_ns,
        heard=heard,
        gone=(state.gone - frozenset(_spoke(look))) | {one.guest for one in host.gone},
        phase=_phase_after(state.phase, host),
        follower=(look.t_ns, look.cpu_ns),
        follower_pct=_follower_pct(state.follower, look),
    )
    return _with_trends(_tell(new, [*_from_marks(host), *_from_loads(state, new)]))


def take_event(state: LiveState, event: EventLike) -> LiveState:
    """The state after an event of the run's journal."""
    text = event_in_words(event)
    told = state if text is None else _tell(state, [Happening(event.t_ns, text, _tone_of(event.kind))])
    return replace(told, events=(*state.events, event))


def take_happening(state: LiveState, happening: Happening) -> LiveState:
    """The state after something that stands in no stream."""
    return _tell(state, [happening])


def take_trouble(state: LiveState, trouble: Trouble) -> LiveState:
    """The state after looks stopped coming, or (where the text is empty) began to come again."""
    if trouble.text == state.trouble:
        return state
    told = trouble.text or "the lab is seen again"
    return replace(
        _tell(state, [Happening(0, told, "warn" if trouble.text else "good")]), trouble=trouble.text
    )


def advance(state: LiveState, update: Update) -> LiveState:
    """The state after any of these."""
    match update:
        case Look():
            return take_look(state, update)
        case Happening():
            return take_happening(state, update)
        case Trouble():
            return take_trouble(state, update)
        case Restarted():
            return forget_node(state, update.node)
        case Said():
            return _take_texts(state, {update.source: update.lines})
        case _:
            return take_event(state, update)


def forget_node(state: LiveState, node: str) -> LiveState:
    """The state after a guest was started anew: its stream and its threads are others."""
    heard = {name: one for name, one in state.heard.items() if name != node}
    return replace(state, heard=heard, gone=state.gone - {node})


def _spoke(look: Look) -> Iterator[str]:
    return (name for name, stream in look.streams.items() if stream.samples and name != HOST_SCOPE)


def _grow(before: Heard | None, stream: ProbeStream, now_ns: int) -> Heard | None:
    """Samples of another hello are another probe's: they have nothing in common."""
    if stream.hello is None:
        return before
    same = before is not None and before.hello.boot_ns == stream.hello.boot_ns
    kept = before.samples if same and before is not None else ()
    last_ns = kept[-1].t_ns if kept else -1
    samples = (*kept, *(one for one in stream.samples if one.t_ns > last_ns))
    if not samples:
        return Heard(stream.hello, (), now_ns) if before is None else before
    recent = tuple(one for one in samples if samples[-1].t_ns - one.t_ns <= SPAN_NS)
    grew = len(samples) > len(kept)
    return Heard(stream.hello, recent, now_ns if grew or before is None else before.heard_ns)


def _take_texts(state: LiveState, new: Mapping[str, tuple[str, ...]]) -> LiveState:
    """Consoles grow. Reports of a kernel's trouble in what a lab said before it was looked at are told, too."""
    if not new:
        return state
    state = _tell(state, [one for name, lines in new.items() for one in _from_console(name, lines)])
    consoles, totals = dict(state.consoles), dict(state.console_totals)
    for name, lines in new.items():
        consoles[name] = (*consoles.get(name, ()), *lines)[-KEPT_LINES:]
        totals[name] = totals.get(name, 0) + len(lines)
    return replace(state, consoles=consoles, console_totals=totals)


def _follower_pct(before: tuple[int, int] | None, look: Look) -> float | None:
    if before is None or look.t_ns <= before[0]:
        return None
    return 100 * (look.cpu_ns - before[1]) / (look.t_ns - before[0])


# ---- what happened

_STAGES: Mapping[str, tuple[Literal["begins", "measured", "over"], str]] = {
    "phase-begin": ("begins", "phase {} begins"),
    "phase-start": ("measured", "phase {} is measured"),
    "phase-end": ("over", "phase {} has been measured"),
}


def _phase_after(phase: Phase | None, host: ProbeStream) -> Phase | None:
    for mark in host.marks:
        word, _, name = mark.text.partition(" ")
        if word in _STAGES:
            phase = Phase(name, _STAGES[word][0], mark.t_ns)
    return phase


def _from_marks(host: ProbeStream) -> Iterator[Happening]:
    for mark in host.marks:
        word, _, name = mark.text.partition(" ")
        if word in _STAGES:
            yield Happening(mark.t_ns, _STAGES[word][1].format(name), "head")
    for one in host.gone:
        yield Happening(one.t_ns, f"guest {one.guest} is gone: its emulator ended", "bad")


def _from_console(name: str, lines: tuple[str, ...]) -> Iterator[Happening]:
    who = "the host" if name == HOST_SCOPE else name
    for report in parse_findings("\n".join(lines).encode()):
        yield Happening(0, f"{who}: {report.text}", "bad")


def _from_loads(before: LiveState, after: LiveState) -> Iterator[Happening]:
    """Loads that began or ended to be counted, where the journal does not say it better."""
    if after.events:
        return
    for node in (one.name for one in after.plan.nodes):
        if node in before.heard and node in after.heard:
            had, has = running_loads(before.heard[node]), running_loads(after.heard[node])
            yield from (Happening(after.t_ns, f"load {one} runs on {node}") for one in sorted(has - had))
            yield from (Happening(after.t_ns, f"load {one} has ended on {node}") for one in sorted(had - has))


def _tell(state: LiveState, happenings: list[Happening]) -> LiveState:
    """By time; what has none stands where it was told."""
    if not happenings:
        return state
    together = [*state.happenings, *(replace(one, t_ns=one.t_ns or state.t_ns) for one in happenings)]
    return replace(state, happenings=tuple(sorted(together, key=lambda one: one.t_ns)[-KEPT_HAPPENINGS:]))


def _timed(state: LiveState, now_ns: int) -> LiveState:
    """What was told before there was a clock happened just before the first look."""
    if state.t_ns:
        return state
    told = tuple(replace(one, t_ns=one.t_ns or now_ns) for one in state.happenings)
    return replace(state, happenings=told)


def _tone_of(kind: str) -> Tone:
    return "bad" if kind in ("lost", "retry", "disturbance") else ""


# ---- trends


def _with_trends(state: LiveState) -> LiveState:
    trends = dict(state.trends)
    for row in vcpu_rows(state):
        steal_pct = row.steal_pct
        if steal_pct is not None:
            key = (row.node, row.vcpu)
            trends[key] = (*trends.get(key, ()), steal_pct)[-KEPT_TREND:]
    return replace(state, trends=trends)
