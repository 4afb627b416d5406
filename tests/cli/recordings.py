# SPDX-License-Identifier: GPL-2.0-only
"""A recording as a run would leave it: two one-vCPU guests on one pCPU, each waiting half of the time.

Everything grows evenly, so what must be measured is known: see images/probe/STREAM.md for the lines.
"""

from __future__ import annotations

from pathlib import Path

from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.kernels import KernelCatalogue
from lab.plan.labplan import LabPlan
from lab.recording import Event, RecordingWriter
from lab.topology.decode import decode_topology

MS = 1_000_000
S = 1_000_000_000
LENGTH_S = 30
INTERVAL_NS = 100 * MS
#: host time = guest time + this
OFFSET_NS = {"one": 7 * S, "two": 9 * S}
BOOT_NS = S

TOPOLOGY = """\
version: 1
name: pair
host: {where: local, pcpus: "0"}
kernels:
  plain: {source: {debian: "6.12"}}
defaults:
  node: {vcpus: 1, pinning: ["0"]}
nodes:
  - name: one
  - name: two
load:
  - name: busy
phases:
  - name: contended
    start: [busy]
    duration: 15s
expect:
  - steal: {phase: contended, min: 40%, max: 60%}
  - agreement: {max: 2%}
"""


def plan_of(text: str = TOPOLOGY) -> LabPlan:
    """The plan of a topology text on a host of two pCPUs."""
    topology = decode_topology(text, Path("/lab/pair.yaml"))
    facts = HostFacts("local", (0, 1), 4096, emulated=False)
    return plan_lab(topology, facts, "cafe01", KernelCatalogue(Path("/lab"), {}, (), (), ()))


def write_recording(
    directory: Path,
    text: str = TOPOLOGY,
    *,
    guest_steal: float = 0.5,
    host_delay: float = 0.5,
    work_per_s: float = 1000.0,
    length_s: int = LENGTH_S,
) -> Path:
    """A finished recording of `text` in which guests count `guest_steal` and the host sees `host_delay`; each of
    the two busy tasks does `work_per_s`."""
    plan = plan_of(text)
    samples = {name: _guest_samples(guest_steal, work_per_s, length_s) for name in OFFSET_NS}
    with RecordingWriter(directory, plan, text, {"created": "2026-01-01T00:00:00+00:00"}) as writer:
        for name, chunks in samples.items():
            writer.guest_path(name, "probe.stream").write_bytes(b"".join(chunk for _, chunk in chunks))
        writer.host_path("probe.stream").write_text(_host_stream(host_delay, samples, length_s))
        start_ns = 15 * S
        window = {"phase": "contended", "start_ns": start_ns, "end_ns": start_ns + 15 * S}
        writer.event(Event(start_ns + 15 * S, "phase", window))
    return directory


def _guest_samples(steal: float, work_per_s: float, length_s: int) -> list[tuple[int, bytes]]:
    """(guest time of the end, bytes) of every sample, the first line before them."""
    hello = f"pvprobe 1 guest interval_ms=100 boot_ns={BOOT_NS} user_hz=100\n"
    chunks = [(BOOT_NS, hello.encode())]
    for seq in range(length_s * S // INTERVAL_NS):
        t_ns = BOOT_NS + seq * INTERVAL_NS
        ticks = int(steal * (t_ns - BOOT_NS) / (10 * MS))
        work = int((t_ns - BOOT_NS) * work_per_s / S)
        lines = f"b {seq} {t_ns}\nk cpu0 1 0 2 3 0 0 0 {ticks} 0 0\nw busy 0 70 {work} 0 0\n"
        chunks.append((t_ns + 20_000, f"{lines}e {seq} {t_ns + 20_000} {seq * 100}\n".encode()))
    return chunks


def _host_stream(delay: float, samples: dict[str, list[tuple[int, bytes]]], length_s: int) -> str:
    first_ns = min(OFFSET_NS.values()) + BOOT_NS
    lines = [f"pvprobe 1 host interval_ms=100 boot_ns={first_ns}\n"]
    for seq in range((length_s + 4) * S // INTERVAL_NS):
        t_ns = first_ns + seq * INTERVAL_NS + 7 * MS
        lines.append(_host_sample(seq, t_ns, t_ns - first_ns, delay))
    return "".join(lines) + "".join(_arrivals(name, chunks) for name, chunks in samples.items())


def _host_sample(seq: int, t_ns: int, since_ns: int, delay: float) -> str:
    wait_ns, run_ns, slices = int(delay * since_ns), int((1 - delay) * since_ns), since_ns // (20 * MS)
    threads = "".join(
        f"v {name} 0 {900 + number} {t_ns} {t_ns + 2000} {run_ns} {wait_ns} {slices} {seq} {slices}\n"
        for number, name in enumerate(OFFSET_NS)
    )
    return f"b {seq} {t_ns}\nk cpu0 1 2 3 4 5 6 7 8 9 10\n{threads}e {seq} {t_ns + 9000} 77\n"


def _arrivals(name: str, chunks: list[tuple[int, bytes]]) -> str:
    offset, lines = 0, [f"a {name} {BOOT_NS + OFFSET_NS[name]} 0\n"]
    for number, (t_ns, chunk) in enumerate(chunks):
        offset += len(chunk)
        lines.append(f"a {name} {t_ns + OFFSET_NS[name] + 2 * MS + (number % 7) * 3 * MS} {offset}\n")
    return "".join(lines)
