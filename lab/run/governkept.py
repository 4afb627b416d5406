# SPDX-License-Identifier: GPL-2.0-only
"""Governors of a lab that was given to the user: nothing of it samples, so a probe runs on the host meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext

from lab.errors import BootTimeout
from lab.plan.folding import plan_fold_in
from lab.plan.labplan import HOST_SCOPE, GovernPlan, KnobSetting, LabPlan
from lab.run.boot import GuestFiles
from lab.run.bynode import by_node
from lab.run.govern import Governors, Tell
from lab.run.knobs import KnobDriver
from lab.run.lab import read_console_tail
from lab.run.ports import Host
from lab.run.watch import Watch

#: Guests that are up speak as soon as somebody listens: what they buffered comes at once.
_READY_TIMEOUT_S = 30
#: Samples of this probe are for nobody.
_NO_STREAM = "/dev/null"
_FOR_EVER_S = 3600.0


def govern_kept(
    host: Host,
    plan: LabPlan,
    guests: dict[str, GuestFiles],
    knobs: KnobDriver,
    governs: Sequence[GovernPlan],
    tell: Tell,
    seconds: float | None = None,
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Govern for `seconds`, or until interrupted; then take back what was folded, `uninterrupted`.

    `tell` is given every decision. Raises GuestLost or HostLost when something dies, BootTimeout where a guest's
    probe does not speak: another reader may have its port.
    """

    def console_tail(name: str) -> str:
        return read_console_tail(host, guests[name].paths.console_log)

    with ExitStack() as stack:
        agent = stack.enter_context(host.start_agent(_NO_STREAM, plan.measure.interval_ms))
        watch = Watch(agent, console_tail, monotonic=monotonic)
        _listen(watch, guests)
        _reach(knobs, [write for one in governs for write in plan_fold_in(plan, one.node, (), one.by)])
        governors = Governors(plan, watch, lambda settings: _write(knobs, settings), tell)
        before = knobs.mark()
        governors.govern(governs)
        try:
            governors.sleep(_FOR_EVER_S if seconds is None else seconds)
            while seconds is None:
                governors.sleep(_FOR_EVER_S)
        finally:
            with uninterrupted():
                governors.release(())
                _take_back(knobs, [HOST_SCOPE, *(one.node for one in governs)], before)


def _listen(watch: Watch, guests: dict[str, GuestFiles]) -> None:
    for name, files in guests.items():
        watch.guest(name, files.pid_file, files.paths.probe_socket, "-", "-")
    deadline = watch.now_s() + _READY_TIMEOUT_S
    while mute := [name for name in guests if not watch.is_ready(name)]:
        if watch.now_s() > deadline:
            raise BootTimeout(f"guest {mute[0]}: its probe did not speak within {_READY_TIMEOUT_S} s")
        watch.next_change(0.5)
        watch.raise_deaths()


def _take_back(knobs: KnobDriver, machines: Sequence[str], before: int) -> None:
    """To what was there before, which need not be that nothing is folded."""
    with knobs.writing() as writer:
        for name in dict.fromkeys(machines):
            writer.restore(name, before)


def _reach(knobs: KnobDriver, settings: Sequence[KnobSetting]) -> None:
    """Look at what will be written: connections are open then, which under contention takes seconds, and a kernel
    that has nothing to fold by is an error before anything is decided."""
    of_node = by_node(settings, lambda one: one.node)
    with ThreadPoolExecutor(max(1, len(of_node))) as pool:
        list(pool.map(lambda node: knobs.read_all(of_node[node]), of_node))


def _write(knobs: KnobDriver, settings: Sequence[KnobSetting]) -> None:
    """All machines at the same time, each one's in order. Returns when all have ended, also where one fails."""
    of_node = by_node(settings, lambda one: one.node)
    with knobs.writing() as writer, ThreadPoolExecutor(max(1, len(of_node))) as pool:
        list(pool.map(lambda node: writer.write(of_node[node], lambda _done: None), of_node))
