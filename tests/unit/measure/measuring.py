# SPDX-License-Identifier: GPL-2.0-only
"""A small world whose true steal, clocks and work are known, written down as the streams that probes would write.

Everything grows evenly: a vCPU's steal and run delay at `steal` of elapsed time, a task's work at
`work_per_s`. What a test wants to go wrong it says in the constructor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.measure.findings import RecordedConsole
from lab.measure.loadruns import LoadOutput
from lab.measure.tracefiles import TracedPhase
from lab.plan.facts import HostFacts
from lab.plan.labplan import LabPlan, MeasurePlan, NetworkPlan, NodePlan, VcpuPlan

MS = 1_000_000
S = 1_000_000_000


@dataclass(frozen=True)
class FakeEvent:
    t_ns: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FakeKvm:
    t0_ns: int
    t1_ns: int
    node: str
    vcpu: int
    counters: Mapping[str, int]


@dataclass(frozen=True)
class FakeRecording:
    """What derive reads; `guests` maps a node to its bytes, `earlier` to those of its earlier starts."""

    event_list: Sequence[FakeEvent] = ()
    guests: Mapping[str, bytes] = field(default_factory=dict)
    host: bytes = b""
    outer: bytes = b""
    kvm: Sequence[FakeKvm] = ()
    earlier: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    loads: Mapping[str, Sequence[LoadOutput]] = field(default_factory=dict)
    traced: Mapping[str, TracedPhase] = field(default_factory=dict)
    console_list: Sequence[RecordedConsole] = ()
    decoded: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def events(self) -> Sequence[FakeEvent]:
        return self.event_list

    def kvm_stats(self) -> Sequence[FakeKvm]:
        return self.kvm

    def host_stream(self) -> bytes:
        return self.host

    def outer_stream(self) -> bytes:
        return self.outer

    def guest_stream(self, node: str) -> bytes:
        return self.guests.get(node, b"")

    def earlier_guest_streams(self, node: str) -> Sequence[bytes]:
        return self.earlier.get(node, ())

    def load_outputs(self, node: str) -> Sequence[LoadOutput]:
        return self.loads.get(node, ())

    def traces(self, phase: str) -> TracedPhase | None:
        return self.traced.get(phase)

    def consoles(self) -> Sequence[RecordedConsole]:
        return self.console_list

    def decoded_frames(self) -> Mapping[str, Mapping[str, str]]:
        return self.decoded


@dataclass(frozen=True)
class World:
    """One guest `node` with `vcpus` on one host, running for `length_s`; host = guest + `offset_ns`.

    `guest_steal` is what the guest counts and `host_delay` what the host counts, as shares of time. `rate`
    is how many guest nanoseconds pass in one of the host. `missing` are guest sample numbers that were
    dropped, `silent_ms` a stretch of guest time without any sample. `outer_delay` is what the host VM's CPUs
    wait outside, `host_steal` what the host's own kernel counts as stolen from its pCPU 0.
    """

    node: str = "guest1"
    vcpus: int = 2
    length_s: int = 30
    offset_ns: int = 5 * S + 123
    rate: float = 1.0
    interval_ms: int = 100
    guest_steal: float = 0.5
    host_delay: float = 0.5
    work_per_s: int = 1000
    missing: frozenset[int] = frozenset()
    silent_ms: tuple[int, int] = (0, 0)
    delivery_ns: int = 2 * MS
    outer_delay: float = 0.01
    host_steal: float = 0.0

    def guest_bytes(self) -> bytes:
        return b"".join(chunk for _, chunk in self._guest_samples())

    def _guest_samples(self) -> list[tuple[int, bytes]]:
        """(guest time of the end, bytes) of every sample; the first line goes with the first sample."""
        hello = f"pvprobe 1 guest interval_ms={self.interval_ms} boot_ns={S} user_hz=100 sched=fifo\n"
        chunks: list[tuple[int, bytes]] = [(S, hello.encode())]
        times = [
            S + number * self.interval_ms * MS for number in range(self.length_s * 1000 // self.interval_ms)
        ]
        taken = [t for t in times if not self.silent_ms[0] * MS < t - S <= self.silent_ms[1] * MS]
        for seq, t_ns in enumerate(taken):
            if seq not in self.missing:
                chunks.append((t_ns + 20_000, self._guest_sample(seq, t_ns).encode()))
        return chunks

    def _guest_sample(self, seq: int, t_ns: int) -> str:
        steal = int(self.guest_steal * (t_ns - S) / self.rate / (10 * MS))
        work = self.work_per_s * (t_ns - S) // S
        cpus = "".join(f"k cpu{cpu} 1 0 2 3 0 0 0 {steal} 0 0\n" for cpu in range(self.vcpus))
        tasks = "".join(f"w busy {task} {70 + task} {work} {task} 0-1\n" for task in range(self.vcpus))
        return f"b {seq} {t_ns}\n{cpus}{tasks}e {seq} {t_ns + 20_000} {seq * 100}\n"

    def to_host_ns(self, guest_ns: int) -> int:
        return round(guest_ns / self.rate) + self.offset_ns

    def host_bytes(self, name: str | None = None, delay: float | None = None) -> bytes:
        lines = [f"pvprobe 1 host interval_ms={self.interval_ms} boot_ns={self.offset_ns}\n"]
        for seq in range(self.length_s * 1000 // self.interval_ms + 40):
            t_ns = self.offset_ns + seq * self.interval_ms * MS + 7 * MS
            lines.append(
                self._host_sample(name or self.node, seq, t_ns, self.host_delay if delay is None else delay)
            )
        return ("".join(lines) + self._arrivals()).encode()

    def _host_sample(self, name: str, seq: int, t_ns: int, delay: float) -> str:
        since_ns = t_ns - self.offset_ns
        wait_ns, run_ns = int(delay * since_ns), int((1 - delay) * since_ns)
        switches = since_ns // (20 * MS)
        threads = "".join(
            f"v {name} {vcpu} {900 + vcpu} {t_ns} {t_ns + 2000} {run_ns} {wait_ns} {switches} {seq} {switches}\n"
            for vcpu in range(self.vcpus)
        )
        stolen = 8 + int(self.host_steal * since_ns / (10 * MS))
        return f"b {seq} {t_ns}\nk cpu0 1 2 3 4 5 6 7 {stolen} 9 10\n{threads}e {seq} {t_ns + 9000} 77\n"

    def _arrivals(self) -> str:
        lines, offset = [f"a {self.node} {self.to_host_ns(S)} 0\n"], 0
        for number, (t_ns, chunk) in enumerate(self._guest_samples()):
            offset += len(chunk)
            late_ns = self.delivery_ns + (number % 7) * 3 * MS
            lines.append(f"a {self.node} {self.to_host_ns(t_ns) + late_ns} {offset}\n")
        return "".join(lines)

    def phase_event(self, name: str = "contended", start_s: float = 5, length_s: float = 20) -> FakeEvent:
        start_ns = self.to_host_ns(S) + round(start_s * S)
        end_ns = start_ns + round(length_s * S)
        data = {"phase": name, "start_ns": start_ns, "end_ns": end_ns}
        return FakeEvent(end_ns, "phase", data)

    def recording(self, *events: FakeEvent, **changes: Any) -> FakeRecording:
        content: dict[str, Any] = {
            "event_list": events or (self.phase_event(),),
            "guests": {self.node: self.guest_bytes()},
            "host": self.host_bytes(),
        }
        return FakeRecording(**{**content, **changes})


def plan_for(world: World, disagreement_pct: float = 2.0) -> LabPlan:
    """A plan with the world's one node; only names, vCPUs and the measuring matter here."""
    vcpus = tuple(VcpuPlan(vcpu, (vcpu,), 50.0) for vcpu in range(world.vcpus))
    node = NodePlan(
        world.node, "d", "k", 256, vcpus, (0,), 1, 1, 1, (), 100, None, "10.0.0.2", "52:54:00:00:00:01"
    )
    return LabPlan(
        name="world",
        lab_id="id",
        host=HostFacts("local", (0, 1), 1024, False),
        pcpus=(0, 1),
        housekeeping=(0,),
        overcommit=2.0,
        kernels=(),
        artifacts=(),
        network=NetworkPlan("n", "b", "10.0.0.1", 24),
        nodes=(node,),
        knobs=(),
        loads=(),
        phases=(),
        measure=MeasurePlan(world.interval_ms, disagreement_pct),
        expectations=(),
    )
