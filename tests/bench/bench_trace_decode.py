#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Time and memory to decode and analyse the traces of one phase, and how they grow.

    bench_trace_decode.py [EVENTS_PER_VCPU_AND_SECOND...]

A made recording of 60 s: sixteen vCPUs of four guests on eight pCPUs, two on each taking turns, and a trace of each
guest with half as many events. Each size is decoded by a process of its own, from files: seconds and CPU time for
reading and decoding, and for everything that `lab preempt` has of it; peak memory of the process, and of that what
it needs before it begins.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tracepages import HEAD, PAGE, PREEMPTED, AboutText, Layout, formats, head, layouts

from lab.plan.labplan import HOST_SCOPE
from lab.trace.about import parse_about
from lab.trace.clocks import guest_clock, host_clock
from lab.trace.decode import TraceFiles, decode_trace
from lab.trace.model import Thread
from lab.trace.summarise import build_window, summarise

SECONDS, PCPUS, GUESTS, VCPUS = 60, 8, 4, 16
NS = 1_000_000_000
TSC_PER_NS, TSC_BEGIN = 2.5, 10**14
FIRST_TID = 1000
DEFAULT_RATES = (500, 1000, 2000, 4000)
LAYOUTS = layouts()


def template(events: list[tuple[Layout, Mapping[str, int | bytes]]], rounds: int) -> tuple[bytes, list[int]]:
    """A page of `events` again and again, and where each record's header is; times are filled in later."""
    body, heads = b"", []
    for layout, values in events * rounds:
        data = layout.pack(values)
        heads.append(HEAD + len(body))
        body += head(len(data) // 4, 0) + data
    committed = bytes(8) + len(body).to_bytes(8, "little")
    return (committed + body).ljust(PAGE, b"\0"), heads


def many_pages(
    events: list[tuple[Layout, Mapping[str, int | bytes]]], per_second: float, seed: int
) -> tuple[bytes, int]:
    """Pages that fill the time with so many events a second, at random distances, and how many events there are."""
    size = sum(4 + len(layout.pack(values)) for layout, values in events)
    one, heads = template(events, (PAGE - HEAD) // size)
    count = max(1, round(per_second * SECONDS / len(heads)))
    made = np.tile(np.frombuffer(one, np.uint8), (count, 1)).view("<u4")
    step = SECONDS * NS * TSC_PER_NS / (count * len(heads))
    deltas = np.random.default_rng(seed).integers(1, int(2 * step), (count, len(heads)), dtype=np.uint64)
    times = TSC_BEGIN + np.cumsum(deltas.ravel()).reshape(deltas.shape)
    made[:, 0], made[:, 1] = times[:, 0] & 0xFFFFFFFF, times[:, 0] >> 32
    deltas[:, 0] = 0
    made[:, np.array(heads) // 4] |= (deltas << 5).astype(np.uint32)
    return made.tobytes(), count * len(heads)


def host_events(pcpu: int) -> list[tuple[Layout, Mapping[str, int | bytes]]]:
    """Two vCPUs that take turns on a pCPU: one is preempted, the other halts and is woken."""
    one, other = FIRST_TID + 2 * pcpu, FIRST_TID + 2 * pcpu + 1
    switch, wakeup = LAYOUTS["sched_switch"], LAYOUTS["sched_wakeup"]
    there = {
        "prev_pid": one,
        "next_pid": other,
        "prev_state": PREEMPTED,
        "prev_comm": b"CPU 0/KVM",
        "next_comm": b"CPU 1/KVM",
    }
    back = {
        "prev_pid": other,
        "next_pid": one,
        "prev_state": 1,
        "prev_comm": b"CPU 1/KVM",
        "next_comm": b"CPU 0/KVM",
    }
    woken = {"pid": other, "target_cpu": pcpu, "comm": b"CPU 1/KVM"}
    return [(switch, there), (switch, back), (wakeup, woken)]


def guest_events() -> list[tuple[Layout, Mapping[str, int | bytes]]]:
    """Two tasks that take turns, and ticks."""
    switch, tick = LAYOUTS["sched_switch"], LAYOUTS["local_timer_entry"]
    there = {
        "prev_pid": 50,
        "next_pid": 51,
        "prev_state": 0,
        "prev_comm": b"hackbench",
        "next_comm": b"stress",
    }
    back = {
        "prev_pid": 51,
        "next_pid": 50,
        "prev_state": 1,
        "prev_comm": b"stress",
        "next_comm": b"hackbench",
    }
    return [(switch, there), (switch, back), (tick, {"common_pid": 50, "common_preempt_count": 1})]


def write_trace(directory: Path, cpus: int, made: list[tuple[bytes, int]]) -> int:
    """The files of one machine; how many events they have."""
    directory.mkdir(parents=True)
    pairs = [(TSC_BEGIN + int(s * NS * TSC_PER_NS), s * NS, 25) for s in range(SECONDS + 1)]
    counts = {
        cpu: f"entries {number} overrun 0 dropped 0 commit_overrun 0 bytes {len(raw)}"
        for cpu, (raw, number) in enumerate(made)
    }
    (directory / "about").write_bytes(AboutText(pairs, cpus=counts).render())
    (directory / "formats").write_bytes(formats(LAYOUTS))
    for cpu, (raw, _) in enumerate(made):
        (directory / f"cpu{cpu}.raw").write_bytes(raw)
    return sum(number for _, number in made)


def write_recording(directory: Path, per_vcpu: int) -> int:
    """All traces; `per_vcpu` events of each vCPU a second on the host, half as many in its guest."""
    per_pcpu = per_vcpu * VCPUS / PCPUS
    number = write_trace(
        directory / "host", PCPUS, [many_pages(host_events(pcpu), per_pcpu, pcpu) for pcpu in range(PCPUS)]
    )
    each = VCPUS // GUESTS
    for guest in range(GUESTS):
        made = [many_pages(guest_events(), per_vcpu / 2, 100 * guest + vcpu) for vcpu in range(each)]
        number += write_trace(directory / f"guest{guest}", each, made)
    return number


def read_trace(directory: Path) -> TraceFiles:
    raw = {int(path.stem[3:]): path.read_bytes() for path in directory.glob("cpu*.raw")}
    return TraceFiles((directory / "about").read_bytes(), (directory / "formats").read_bytes(), raw)


def peak_memory_mib() -> float:
    """Of this process; not ru_maxrss, which exec() keeps from the process before."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def analyse(directory: Path) -> None:
    """What a reader of the recording does; prints seconds, memory, and what was found."""
    before_mib = peak_memory_mib()
    began, began_cpu = perf_counter(), process_time()
    files = read_trace(directory / "host")
    about = parse_about(files.about)
    host = decode_trace(files, HOST_SCOPE, "bench", host_clock(about))
    guests = {}
    for guest in range(GUESTS):
        node = f"guest{guest}"
        # The benchmark's guests read the same ticks as its host: with an offset of 0.
        guests[node] = decode_trace(read_trace(directory / node), node, "bench", guest_clock(about, 0))
    decoded, decoded_cpu = perf_counter(), process_time()
    each = VCPUS // GUESTS
    threads = {
        FIRST_TID + at: Thread(FIRST_TID + at, f"guest{at // each}", f"vcpu {at % each}", at % each)
        for at in range(VCPUS)
    }
    phase = summarise(build_window(host, guests, threads))
    done, done_cpu = perf_counter(), process_time()
    preempted = sum(len(one.lengths_ns) for one in phase.vcpus)
    print(
        f"read and decoded in {decoded - began:.2f} s ({decoded_cpu - began_cpu:.2f} s of CPU time), "
        f"analysed in {done - decoded:.2f} s ({done_cpu - decoded_cpu:.2f}), "
        f"peak {peak_memory_mib():.0f} MiB ({before_mib:.0f} before), {preempted} preemptions, "
        f"{len(host.damage) + sum(len(one.damage) for one in guests.values())} damages"
    )


def main(rates: list[int]) -> None:
    for rate in rates:
        with tempfile.TemporaryDirectory() as directory:
            number = write_recording(Path(directory) / "made", rate)
            size_mib = sum(path.stat().st_size for path in Path(directory).rglob("*.raw")) >> 20
            print(f"{rate} a vCPU and second: {number} events, {size_mib} MiB: ", end="", flush=True)
            subprocess.run([sys.executable, __file__, "--analyse", str(Path(directory) / "made")], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--analyse"]:
        analyse(Path(sys.argv[2]))
    else:
        main([int(word) for word in sys.argv[1:]] or list(DEFAULT_RATES))
