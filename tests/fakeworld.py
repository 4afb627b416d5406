# SPDX-License-Identifier: GPL-2.0-only
"""A host in memory, with guests that contend, count steal and can be lost.

`FakeWorld` is the ledger: what exists on the host, in virtual time, which passes only while somebody waits. The
ports are thin views of it (`fakehost`); every call of one goes through `FakeWorld.gate`, where a test can make it
fail.
"""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ElementTree
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from fakeload import FakeRuns
from faketrace import FakeTracing

from lab.errors import HostLost, LabFailure
from lab.plan.decide import plan_lab
from lab.plan.domainxml import METADATA_URI
from lab.plan.facts import HostFacts
from lab.plan.kernels import KernelCatalogue
from lab.plan.labplan import LabPlan
from lab.run.ports import Launch
from lab.topology.decode import decode_topology
from lab.topology.model import Topology
from lab.units import parse_cpulist

STORE = "/store"
TICK_NS = 100_000_000
BOOT_NS = 2_000_000_000
HOST_CLOCK_NS = 50_000_000_000
#: A knob that takes every value and keeps its own.
STUBBORN = "/sys/kernel/stubborn"
#: The mask of CPUs to avoid that guests of this world have.
MASK = "/sys/devices/system/cpu/paravirt"
#: kvm.halt_poll of the host, and what it holds when nobody has changed it.
HOST_KNOB = "module_parameter:kvm/halt_poll_ns"
HOST_VALUE = "200000"


def make_topology(text: str, path: Path = Path("/topologies/fake.yaml"), pcpus: str = "0-1") -> Topology:
    """A topology with one kernel on some pCPUs; `text` adds nodes and all else."""
    head = f'version: 1\nname: fake\nhost: {{pcpus: {pcpus}}}\nkernels:\n  plain: {{source: {{debian: "6.12"}}}}\n'
    return decode_topology(head + text, path)


def make_plan(topology: Topology, facts: HostFacts | None = None, lab_id: str = "abc123") -> LabPlan:
    """The plan of a topology on a host of four pCPUs."""
    catalogue = KernelCatalogue(Path("/topologies"), {})
    return plan_lab(topology, facts or make_facts(), lab_id, catalogue)


def make_facts(where: str = "nested") -> HostFacts:
    return HostFacts(where=where, pcpus=(0, 1, 2, 3), memory_mib=8192, emulated=False, store_dir=STORE)


def make_launch(directory: Path) -> Launch:
    """Small files in place of a root image, a kernel and init."""
    paths = {name: directory / name for name in ("root", "kernel", "init")}
    for name, path in paths.items():
        path.write_text(name)
    keys = {"kernels": {"plain": "0123"}, "images": {"guest": "4567"}}
    return Launch(paths["root"], {"plain": paths["kernel"]}, paths["init"], keys=keys)


def make_keys() -> tuple[bytes, str]:
    return b"PRIVATE", "ssh-ed25519 AAAA fake"


class SaidNothing:
    """A Narrator and a Progress that remember."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def step(self, what: str) -> None:
        self.said.append(what)

    def update(self, done: float | None, text: str) -> None:
        pass


@dataclass(frozen=True)
class Fault:
    """`error` is raised at call number `index` of a port, after its effect if `after`."""

    index: int
    error: BaseException
    after: bool = False


@dataclass
class FakeLoad:
    name: str
    tasks: int
    vcpus: tuple[int, ...]
    work: list[float]


@dataclass
class FakeTask:
    """A busy process of the host that is no guest."""

    name: str
    pid: int
    pcpu: int
    started_ns: int
    run_ns: float = 0.0
    demand: float = 1.0
    tid: int = 0


@dataclass
class FakeHog:
    """Busy threads on the host, one on each of `pcpus`. All weights are taken for equal here."""

    name: str
    pcpus: tuple[int, ...]
    weight: int
    threads: list[FakeTask]

    def set_duty(self, duty_pct: float) -> None:
        for thread in self.threads:
            thread.demand = duty_pct / 100

    def show(self, now_ns: int) -> Iterator[str]:
        """What `pvspin show` says of it."""
        for number, thread in enumerate(self.threads):
            yield (
                f"task {self.name} {number} tid={thread.tid} t_ns={now_ns} work={int(thread.run_ns) // 1000} "
                f"run_ns={int(thread.run_ns)} cpu={thread.pcpu} duty_ppm={round(thread.demand * 1_000_000)}\n"
            )


@dataclass
class FakeGuest:
    """A running domain and what happens in it. `lies_pct` is added to the steal that the guest counts. `emulator`
    are the pCPUs of its other threads, `quota` what cpu.max of its vCPUs holds."""

    domain: str
    lab_id: str | None
    node: str
    pins: tuple[tuple[int, ...], ...]
    console: str
    socket: str
    address: str
    started_ns: int
    pid: int = 0
    emulator: tuple[int, ...] = ()
    weight: int = 100
    quota: str = "max 100000"
    cmdline: str = ""
    watched_as: str | None = None
    stream: str = ""
    ready: bool = False
    sequence: int = 0
    tids: int = 0
    delivered: list[tuple[str, ...]] = field(default_factory=list)
    lies_pct: float = 0.0
    knobs: dict[str, str] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    loads: dict[str, FakeLoad] = field(default_factory=dict)
    runs: FakeRuns = field(default_factory=lambda: FakeRuns({}))
    tracing: FakeTracing = field(default_factory=lambda: FakeTracing({}))
    steal_ns: list[float] = field(default_factory=list)
    delay_ns: list[float] = field(default_factory=list)
    run_ns: list[float] = field(default_factory=list)

    def busy(self) -> dict[int, list[tuple[FakeLoad, int]]]:
        """Tasks by vCPU: spread over what they may use, keeping off the vCPUs to avoid."""
        places: dict[int, list[tuple[FakeLoad, int]]] = {}
        avoided = set(parse_cpulist(self.knobs.get(MASK, "")))
        for load in self.loads.values():
            allowed = load.vcpus or tuple(range(len(self.pins)))
            usable = [vcpu for vcpu in allowed if vcpu not in avoided] or list(allowed)
            for task in range(load.tasks):
                places.setdefault(usable[task % len(usable)], []).append((load, task))
        return places


class Watcher(Protocol):
    """An agent, as the world sees it."""

    stream: str

    def say(self, *words: str) -> None:
        """An event for its reader."""

    def sample(self) -> None:
        """Take a sample."""


class FakeWorld:
    """Everything that exists. `fates` says by node how its next boots end: ready, die, panic or mute;
    `trace_problems` why it cannot be traced (faketrace.REFUSALS); `absent_knobs` are none of its guests'."""

    def __init__(self, facts: HostFacts | None = None) -> None:
        self.facts = facts or make_facts()
        self.lock = threading.RLock()
        self.now_ns = HOST_CLOCK_NS
        self.files: dict[str, bytearray] = {}
        self.guests: dict[str, FakeGuest] = {}
        self.networks: dict[str, str | None] = {}
        self.agents: list[Watcher] = []
        self.tasks: list[FakeTask] = []
        self.busy_ns = dict.fromkeys(self.facts.pcpus, 0.0)
        self._pids = 500
        self.open_shells = 0
        self.fates: dict[str, deque[str]] = {}
        self.lies_pct: dict[str, float] = {}
        self.host_dead = False
        self.host_console = bytearray()
        self.host_knobs = {HOST_KNOB: HOST_VALUE}
        self.host_fences: dict[str, int] = {}
        self.hogs: dict[tuple[str, str], FakeHog] = {}
        self.tracing = FakeTracing(self.files)
        self.trace_problems: dict[str, str] = {}
        self.absent_knobs: set[str] = set()
        self.calls: list[str] = []
        self.fault: Fault | None = None
        self._due: list[tuple[int, Callable[[], None]]] = []

    # ---- failing

    @contextmanager
    def gate(self, name: str) -> Iterator[None]:
        """Around the effect of every call of a port."""
        with self.lock:
            number = len(self.calls)
            self.calls.append(name)
            fault = self.fault if self.fault is not None and self.fault.index == number else None
            if fault is not None and not fault.after:
                self._fail(fault)
            if self.host_dead:
                raise HostLost(f"{name}: the host is gone")
            yield
            if fault is not None:
                self._fail(fault)

    @staticmethod
    def _fail(fault: Fault) -> None:
        raise fault.error

    def lose_host(self) -> None:
        """The host dies, and everything on it."""
        self.host_dead = True
        self.guests.clear()
        self.networks.clear()
        self.files.clear()
        self.hogs.clear()
        self.tracing.running.clear()

    def owned(self, lab_id: str) -> list[str]:
        """Whatever of a lab exists."""
        directory = f"{self.facts.store_dir}/labs/{lab_id}"
        return [
            *(f"domain {name}" for name, guest in self.guests.items() if guest.lab_id == lab_id),
            *(f"network {name}" for name, owner in self.networks.items() if owner == lab_id),
            *(f"hog {name}" for path, name in self.hogs if path.startswith(directory)),
            *(f"recorder {path}" for path in self.tracing.running if path.startswith(directory)),
            *(f"file {path}" for path in self.files if path.startswith(directory)),
            *(f"agent {agent.stream}" for agent in self.agents),
            *(["an open shell"] if self.open_shells else []),
        ]

    # ---- time

    def monotonic(self) -> float:
        """Seconds, as time.monotonic()."""
        return self.now_ns / 1e9

    def at(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Do something later."""
        self._due.append((self.now_ns + delay_ns, action))

    def advance(self, nanoseconds: int) -> None:
        """Let time pass, sampling every 100 ms."""
        end_ns = self.now_ns + nanoseconds
        while self.now_ns < end_ns:
            next_tick_ns = (self.now_ns // TICK_NS + 1) * TICK_NS
            step_ns = min(end_ns, next_tick_ns) - self.now_ns
            self._run(step_ns)
            self.now_ns += step_ns
            self._do_due()
            if self.now_ns == next_tick_ns:
                self._sample()

    def _do_due(self) -> None:
        due = [action for t_ns, action in self._due if t_ns <= self.now_ns]
        self._due = [entry for entry in self._due if entry[0] > self.now_ns]
        for action in due:
            action()

    def _run(self, step_ns: int) -> None:
        """Everything busy on a pCPU gets an equal part of it, or what it wants where that is less."""
        busy = [
            (guest, vcpu, tasks) for guest in self.guests.values() for vcpu, tasks in guest.busy().items()
        ]
        on = [guest.pins[vcpu][0] for guest, vcpu, _ in busy]
        shares = {pcpu: self._shares(pcpu, on.count(pcpu)) for pcpu in {*on, *(t.pcpu for t in self.tasks)}}
        for pcpu, (of_guests, of_tasks) in shares.items():
            self.busy_ns[pcpu] += step_ns * (on.count(pcpu) * of_guests + sum(share for _, share in of_tasks))
            for task, share in of_tasks:
                task.run_ns += share * step_ns
        for guest, vcpu, tasks in busy:
            share = shares[guest.pins[vcpu][0]][0]
            guest.run_ns[vcpu] += share * step_ns
            guest.delay_ns[vcpu] += (1 - share) * step_ns
            guest.steal_ns[vcpu] += (1 - share + guest.lies_pct / 100) * step_ns
            for load, task in tasks:
                load.work[task] += share * step_ns / 1e6 / len(tasks)

    def _shares(self, pcpu: int, guests: int) -> tuple[float, list[tuple[FakeTask, float]]]:
        """What each busy vCPU gets of a pCPU, and each task."""
        tasks = sorted((task for task in self.tasks if task.pcpu == pcpu), key=lambda task: task.demand)
        left, claims, shares = 1.0, guests + len(tasks), []
        for task in tasks:
            shares.append((task, min(task.demand, left / claims)))
            left, claims = left - shares[-1][1], claims - 1
        return (left / claims if claims else 0.0), shares

    def start_hog(self, directory: str, name: str, pcpus: tuple[int, ...], weight: int) -> FakeHog:
        """What `pvspin run` does."""
        pid = 5000 + 100 * len(self.hogs)
        threads = [
            FakeTask(f"{name}/{number}", pid, pcpu, self.now_ns, tid=pid + number)
            for number, pcpu in enumerate(pcpus)
        ]
        self.tasks += threads
        self.files[f"{directory}/{name}.pid"] = bytearray(f"{pid}\n".encode())
        self.hogs[directory, name] = FakeHog(name, pcpus, weight, threads)
        return self.hogs[directory, name]

    def end_hog(self, directory: str, name: str) -> None:
        """It is gone, and all that is known of it."""
        gone = self.hogs.pop((directory, name)).threads
        self.tasks = [task for task in self.tasks if task not in gone]
        self.files.pop(f"{directory}/{name}.pid", None)

    def _sample(self) -> None:
        for agent in self.agents:
            agent.sample()

    # ---- files

    def write(self, path: str, data: bytes) -> None:
        """Append to a file."""
        self.files.setdefault(path, bytearray()).extend(data)

    # ---- processes

    def start_task(self, name: str, pcpu: int) -> FakeTask:
        """Somebody starts a busy process on the host."""
        task = FakeTask(name, self.new_pid(), pcpu, self.now_ns)
        self.tasks.append(task)
        return task

    def new_pid(self) -> int:
        """The next one leaves room for the threads of this one."""
        self._pids += 100
        return self._pids

    # ---- guests

    def start_guest(self, xml: str) -> None:
        """What libvirt does with a domain's XML."""
        guest = parse_guest(xml, self.now_ns)
        for knob in self.absent_knobs:
            guest.knobs.pop(knob, None)
        if guest.domain in self.guests:
            raise LabFailure(f"starting a domain: domain {guest.domain} is running already")
        guest.pid = self.new_pid()
        guest.lies_pct = self.lies_pct.get(guest.node, 0.0)
        guest.tracing = FakeTracing(guest.runs.files, problem=self.trace_problems.get(guest.node))
        self.files[f"/run/libvirt/qemu/{guest.domain}.pid"] = bytearray(f"{guest.pid}\n".encode())
        self.guests[guest.domain] = guest
        self.files[guest.console] = bytearray(b"Booting Linux\n")

    def watch_guest(self, agent: Watcher, name: str, socket: str, stream: str) -> None:
        """An agent connects to a guest's port; what then happens is the guest's fate."""
        guest = next((one for one in self.guests.values() if one.socket == socket), None)
        if guest is None:
            agent.say("gone", name, str(self.now_ns))
            return
        guest.watched_as, guest.stream = name, stream
        fates = self.fates.get(guest.node)
        fate = fates.popleft() if fates else "ready"
        outcomes: dict[str, Callable[[FakeGuest], None]] = {
            "ready": self._speak,
            "die": self.kill_guest,
            "panic": self._panic,
            "mute": lambda one: None,
        }
        self.at(BOOT_NS, lambda: outcomes[fate](guest))

    def _speak(self, guest: FakeGuest) -> None:
        if self.guests.get(guest.domain) is not guest or guest.watched_as is None:
            return
        boot_ns = self.now_ns - guest.started_ns
        hello = f"pvprobe 1 guest interval_ms=100 boot_ns={boot_ns} user_hz=100\n"
        self.files[guest.stream] = bytearray(hello.encode())
        guest.ready = True
        self.say_all("ready", str(guest.watched_as), str(self.now_ns))

    def kill_guest(self, guest: FakeGuest) -> None:
        """Its emulator ends."""
        if self.guests.get(guest.domain) is guest:
            del self.guests[guest.domain]
            self.files.pop(f"/run/libvirt/qemu/{guest.domain}.pid", None)
            if guest.watched_as is not None:
                self.say_all("gone", guest.watched_as, str(self.now_ns))

    def _panic(self, guest: FakeGuest) -> None:
        line = "Kernel panic - not syncing: attempted to kill init"
        self.write(guest.console, line.encode() + b"\n")
        self.say_all("console", str(guest.watched_as), *line.split())

    def say_all(self, *words: str) -> None:
        for agent in self.agents:
            agent.say(*words)


def parse_guest(xml: str, now_ns: int) -> FakeGuest:
    """The domain of a domain XML, as far as it matters here."""
    root = ElementTree.fromstring(xml)
    owner = root.find(f"./metadata/{{{METADATA_URI}}}lab")
    vcpus = int(root.findtext("vcpu", "1"))
    pins = {int(pin.get("vcpu", "0")): pin.get("cpuset", "0") for pin in root.iter("vcpupin")}
    console, channel = root.find(".//console/log"), root.find(".//channel/source")
    cmdline = root.findtext("./os/cmdline", "")
    words = dict(word.partition("=")[::2] for word in cmdline.split())
    emulator, quota = root.find(".//emulatorpin"), root.findtext("./cputune/quota", "max")
    return FakeGuest(
        domain=root.findtext("name", ""),
        lab_id=None if owner is None else owner.get("id"),
        node="" if owner is None else owner.get("node", ""),
        pins=tuple(parse_cpulist(pins.get(vcpu, "0")) for vcpu in range(vcpus)),
        console="" if console is None else console.get("file", ""),
        socket="" if channel is None else channel.get("path", ""),
        address=words.get("lab.ip", "").partition("/")[0],
        started_ns=now_ns,
        emulator=parse_cpulist("0" if emulator is None else emulator.get("cpuset", "")),
        weight=int(root.findtext("./cputune/shares", "100")),
        quota=f"{quota} {root.findtext('./cputune/period', '100000')}",
        cmdline=cmdline,
        knobs={MASK: "", STUBBORN: "0"},
        steal_ns=[0.0] * vcpus,
        delay_ns=[0.0] * vcpus,
        run_ns=[0.0] * vcpus,
    )


def nested_world(**fates: list[str]) -> FakeWorld:
    """A world with its guests' fates."""
    world = FakeWorld()
    world.fates = {node: deque(each) for node, each in fates.items()}
    return world


def ssh_world() -> FakeWorld:
    """A world whose host is another machine, which outlives a lost connection."""
    return FakeWorld(replace(make_facts(), where="ssh://user@host"))
