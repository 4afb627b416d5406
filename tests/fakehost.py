# SPDX-License-Identifier: GPL-2.0-only
"""Fakes of the ports of `lab.run.ports`, all on one `FakeWorld`."""

from __future__ import annotations

import shlex
import time
import xml.etree.ElementTree as ElementTree
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import ENOENT
from itertools import pairwise
from math import ceil
from pathlib import Path, PurePosixPath

from fakeknob import FakeKernel
from fakeload import FakeRun
from fakeworld import MASK, STORE, STUBBORN, TICK_NS, FakeGuest, FakeLoad, FakeWorld

from lab.adapters.ssh import failed_command
from lab.errors import CommandFailed, GuestLost, HostLost, LabFailure, Lost
from lab.plan.domainxml import METADATA_URI
from lab.run.ports import Agent, AgentEvent, CommandResult, HostProgram, Hypervisor, Shell
from lab.units import format_cpulist, parse_cpulist

#: The process whose children a fake shell's commands are.
SHELL_PID = "77"

#: Real time without any virtual time after which nobody lets that pass.
NOBODY_S = 0.5


class FakeAgent:
    """`pvprobe host`, in the world's time."""

    def __init__(self, world: FakeWorld, stream: str) -> None:
        self.world = world
        self.stream = stream
        self._queue: deque[AgentEvent] = deque()
        self._sequence = 0
        self._told: set[str] = set()
        self._seen: dict[str, list[tuple[str, ...]]] = {}
        self._owned: dict[str, str] = {}
        world.files[stream] = bytearray(
            f"pvprobe 1 host interval_ms=100 boot_ns={world.now_ns} user_hz=100 tasks=1\n".encode()
        )
        self.say("hello", str(world.now_ns))

    def say(self, *words: str) -> None:
        """Put an event out."""
        self._queue.append(AgentEvent(words[0], words[1:]))

    def send(self, line: str) -> None:
        with self.world.gate(f"agent.send {line.split()[0]}"):
            words = line.split()
            if words[0] == "mark":
                text = line.removeprefix("mark ")
                self.world.write(self.stream, f"m {self.world.now_ns} {text}\n".encode())
                self.say("marked", str(self.world.now_ns), *text.split())
            elif words[0] == "guest" and len(words) == 6:
                self._told.add(words[1])
                self.world.watch_guest(self, words[1], words[3], words[4])
            elif words[0] == "drop" and len(words) == 2:
                self._drop(words[1])
            elif words == ["state"]:
                self._tell_state()
            elif words[0] == "tasks":
                self._snapshot(line.removeprefix("tasks "))
            elif words[0] == "duty" and len(words) == 3:
                self._set_duty(words[1], int(words[2]))
            elif words[0] == "own" and len(words) == 3:
                self._owned[words[1]] = words[2]
            elif words[0] == "disown" and len(words) == 2:
                self._owned.pop(words[1], None)
            elif words[0] == "now":
                self.say("now", str(self.world.now_ns))
            else:
                self.say("error", "-", "unknown", "command:", *words)

    def _snapshot(self, name: str) -> None:
        """All tasks of the host, whether they ran or not: a probe may tell more than it must."""
        now_ns = self.world.now_ns
        pid_files = {name: bytes(self.world.files.get(path, b"")) for name, path in self._owned.items()}
        owned = {int(text): f"@lab:{name}" for name, text in pid_files.items() if text.strip().isdigit()}
        lines = [f"s {now_ns} {name}"]
        for pcpu, busy_ns in self.world.busy_ns.items():
            idle = (now_ns - int(busy_ns)) // 10_000_000
            lines += [f"k cpu{pcpu} 1 0 2 {idle} 0 0 0 0 0 0", f"p cpu{pcpu} 0 0 0 0 0 0 {int(busy_ns)} 8 9"]
        for task in self.world.tasks:
            owner, start = owned.get(task.pid, "-"), task.started_ns // 10_000_000
            about = f"{owner} {task.pcpu} {start} {int(task.run_ns)} 0 {task.pcpu} {task.name}"
            lines.append(f"t {task.tid or task.pid} {task.pid} {about}")
        for guest in self.world.guests.values():
            lines += self._threads_of(guest)
        self.world.write(self.stream, ("\n".join(lines) + f"\nz {now_ns} 1000\n").encode())
        self.say("tasks", str(now_ns), *name.split())

    @staticmethod
    def _threads_of(guest: FakeGuest) -> list[str]:
        """libvirt's groups of a domain, as they are without systemd."""
        owner, start = guest.watched_as or "-", guest.started_ns // 10_000_000
        group = f"/machine/qemu-{guest.pid}-{guest.domain}.libvirt-qemu"
        first = guest.emulator[0] if guest.emulator else 0
        lines = [
            f"t {guest.pid} {guest.pid} {owner} {first} {start} 0 0 {format_cpulist(guest.emulator) or '-'} qemu",
            f"c {guest.pid} {group}/emulator",
            f"f /sys/fs/cgroup{group}/cpu.weight {guest.weight}",
            f"f /sys/fs/cgroup{group}/cpu.max max 100000",
        ]
        for vcpu, pcpus in enumerate(guest.pins):
            tid, run_ns = guest.pid + 1 + vcpu, int(guest.run_ns[vcpu])
            about = f"{owner} {pcpus[0]} {start} {run_ns} 0 {format_cpulist(pcpus)} CPU {vcpu}/KVM"
            lines += [f"t {tid} {guest.pid} {about}", f"c {tid} {group}/vcpu{vcpu}"]
            lines += [f"f /sys/fs/cgroup{group}/vcpu{vcpu}/cpu.max {guest.quota}"]
        return lines

    def _set_duty(self, path: str, ppm: int) -> None:
        directory, _, name = path.rpartition("/")
        if (directory, name) in self.world.hogs:
            self.world.hogs[directory, name].set_duty(ppm / 10_000)
        else:
            self.say("error", "-", "duty", f"{path}:", "No", "such", "file", "or", "directory")

    def _tell_state(self) -> None:
        for guest in self.world.guests.values():
            if guest.watched_as is not None:
                for line in (*self._seen.get(guest.domain, ()), *guest.delivered):
                    self.say(*line)
        self.say("state-end", str(self.world.now_ns))

    def _drop(self, name: str) -> None:
        watched = [guest for guest in self.world.guests.values() if guest.watched_as == name]
        if name not in self._told:
            self.say("error", name, "is", "not", "watched")
        self._told.discard(name)
        for guest in watched:
            guest.watched_as = None

    def events(self, timeout_s: float) -> Iterator[AgentEvent]:
        with self.world.gate("agent.events"):
            pass
        deadline_ns = self.world.now_ns + ceil(timeout_s * 1e9)
        while True:
            with self.world.lock:
                if self.world.host_dead:
                    raise HostLost("the probe's connection ended")
                if not self._queue:
                    left_ns = deadline_ns - self.world.now_ns
                    if left_ns <= 0:
                        return
                    self.world.advance(min(left_ns, TICK_NS))
                    continue
                event = self._queue.popleft()
            yield event

    def stop(self) -> None:
        if self in self.world.agents:
            self.world.agents.remove(self)

    def sample(self) -> None:
        """One sample of the host, and of every guest that this agent watches."""
        now_ns, write = self.world.now_ns, self.world.write
        watched = [guest for guest in self.world.guests.values() if guest.watched_as is not None]
        lines = [f"b {self._sequence} {now_ns}\n", "k cpu0 1 2 3 4 5 6 7 8 9 10\n"]
        lines += [self._thread(guest, vcpu) for guest in watched for vcpu in range(len(guest.pins))]
        write(self.stream, ("".join(lines) + f"e {self._sequence} {now_ns + 9000} 77\n").encode())
        self._sequence += 1
        for guest in watched:
            self._seen[guest.domain] = [self._vcpu_seen(guest, vcpu) for vcpu in range(len(guest.pins))]
            if guest.ready:
                write(guest.stream, self._guest_sample(guest).encode())
                guest.delivered = [self._steal_seen(guest, vcpu) for vcpu in range(len(guest.pins))]
                arrived = len(self.world.files[guest.stream])
                write(self.stream, f"a {guest.watched_as} {now_ns + 1_000_000} {arrived}\n".encode())

    def _vcpu_seen(self, guest: FakeGuest, vcpu: int) -> tuple[str, ...]:
        run_ns, delay_ns = int(guest.run_ns[vcpu]), int(guest.delay_ns[vcpu])
        numbers = (vcpu, self.world.now_ns + 1000, run_ns, delay_ns)
        return "state-vcpu", str(guest.watched_as), *map(str, numbers)

    def _steal_seen(self, guest: FakeGuest, vcpu: int) -> tuple[str, ...]:
        arrived_ns, guest_ns = self.world.now_ns + 1_000_000, self.world.now_ns - guest.started_ns + 10_000
        numbers = (vcpu, arrived_ns, guest_ns, int(guest.steal_ns[vcpu]) // 10_000_000 * 10_000_000)
        return "state-steal", str(guest.watched_as), *map(str, numbers)

    def _thread(self, guest: FakeGuest, vcpu: int) -> str:
        now_ns = self.world.now_ns
        run_ns, delay_ns = int(guest.run_ns[vcpu]), int(guest.delay_ns[vcpu])
        switches = (run_ns + delay_ns) // 10_000_000
        tid = guest.pid + 1 + vcpu
        return (
            f"v {guest.watched_as} {vcpu} {tid} {now_ns} {now_ns + 2000} "
            f"{run_ns} {delay_ns} {switches} 5 {switches}\n"
        )

    def _guest_sample(self, guest: FakeGuest) -> str:
        t_ns = self.world.now_ns - guest.started_ns
        cpus = "".join(
            f"k cpu{vcpu} 1 0 2 3 0 0 0 {int(steal) // 10_000_000} 0 0\n"
            for vcpu, steal in enumerate(guest.steal_ns)
        )
        affinity = format_cpulist(range(len(guest.pins)))
        tasks = "".join(
            f"w {load.name} {task} {70 + task} {int(load.work[task])} {vcpu} {affinity}\n"
            for vcpu, placed in guest.busy().items()
            for load, task in placed
        )
        sample = f"b {guest.sequence} {t_ns}\n{cpus}{tasks}e {guest.sequence} {t_ns + 20_000} 100\n"
        guest.sequence += 1
        return sample


class FakeHypervisor:
    """libvirt."""

    def __init__(self, world: FakeWorld) -> None:
        self.world = world

    def create_network(self, xml: str) -> None:
        with self.world.gate("create_network"):
            root = ElementTree.fromstring(xml)
            name = root.findtext("name", "")
            owner = root.find(f"./metadata/{{{METADATA_URI}}}lab")
            if name in self.world.networks:
                raise LabFailure(f"starting a network: {name} exists already")
            self.world.networks[name] = None if owner is None else owner.get("id")

    def create_domain(self, xml: str) -> None:
        with self.world.gate("create_domain"):
            self.world.start_guest(xml)

    def destroy_domain(self, name: str) -> bool:
        with self.world.gate("destroy_domain"):
            guest = self.world.guests.get(name)
            if guest is not None:
                self.world.kill_guest(guest)
            return guest is not None

    def destroy_network(self, name: str) -> bool:
        with self.world.gate("destroy_network"):
            return self.world.networks.pop(name, "missing") != "missing"

    def domains(self) -> Mapping[str, str]:
        with self.world.gate("domains"):
            owners = {name: guest.lab_id for name, guest in self.world.guests.items()}
            return {name: owner for name, owner in owners.items() if owner is not None}

    def networks(self) -> Mapping[str, str]:
        with self.world.gate("networks"):
            return {name: owner for name, owner in self.world.networks.items() if owner is not None}

    def kvm_counters(self, domain: str) -> Mapping[int, Mapping[str, int]]:
        with self.world.gate("kvm_counters"):
            guest = self._find(domain)
            count = [int(delay_ns) // 10_000_000 for delay_ns in guest.delay_ns]
            return {
                v: {"preemption_reported": n, "preemption_other": 0, "exits": 100 * n, "wait": 0}
                for v, n in enumerate(count)
            }

    def vcpu_pins(self, domain: str) -> Mapping[int, tuple[int, ...]]:
        with self.world.gate("vcpu_pins"):
            return dict(enumerate(self._find(domain).pins))

    def pin_vcpu(self, domain: str, vcpu: int, pcpus: Sequence[int]) -> None:
        with self.world.gate("pin_vcpu"):
            guest = self._find(domain)
            guest.pins = tuple(tuple(pcpus) if one == vcpu else pins for one, pins in enumerate(guest.pins))

    def open_gdb(self, domain: str) -> int:
        with self.world.gate("open_gdb"):
            self._find(domain)
            return 40001

    def dump_memory(self, domain: str, path: str, *, compressed: bool) -> None:
        with self.world.gate("dump_memory"):
            self._find(domain)
            self.world.files[path] = bytearray(b"KDUMP   " if compressed else b"\x7fELF")

    def _find(self, domain: str) -> FakeGuest:
        if domain not in self.world.guests:
            raise LabFailure(f"domain {domain}: there is none of that name")
        return self.world.guests[domain]

    def close(self) -> None:
        pass


class FakeShell:
    """A machine with a file system in memory and the few commands that the lab uses."""

    def __init__(self, world: FakeWorld, files: dict[str, bytearray], name: str = "fake host") -> None:
        self.world = world
        self.files = files
        self.name = name
        self.lost: type[Lost] = HostLost
        self.directories = {"/", "/store"}
        self.kernel = FakeKernel(world.host_knobs, "host-boot", fences=world.host_fences)
        self.tracing = world.tracing

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        """A script comes after the line that gives it its words."""
        line, _, script = command.partition("\n")
        with self.world.gate(f"{self.name}: {command.split()[0]}"):
            words = shlex.split(line)
            result = self._script(script, words) if script else self.obey(words[0], words[1:], timeout_s)
        if check and result.status != 0:
            raise failed_command(self.name, command, result)
        return result

    def _script(self, script: str, words: list[str]) -> CommandResult:
        self.world.advance(10_000_000)
        return self.tracing.script(script, words[2:])

    def obey(self, program: str, words: list[str], timeout_s: float) -> CommandResult:
        """Do what the program does. Children know more programs."""
        if PurePosixPath(program).name == "pvtrace" and words == ["clean"]:
            return self.tracing.clean()
        if PurePosixPath(program).name == "pvknob":
            return self.kernel.run(words, self.world.now_ns)
        if PurePosixPath(program).name == "pvspin":
            return self._hogs(words)
        if program == "sleep":
            return self._sleep(float(words[0]), timeout_s)
        programs: dict[str, Callable[[list[str]], CommandResult]] = {
            "mkdir": self._make_directory,
            "true": lambda words: self._done(),
            "rm": self._remove,
            "echo": lambda words: self._done(" ".join(words).replace("$PPID", SHELL_PID) + "\n"),
            "cat": lambda words: self._cat(words[-1]),
            "tail": lambda words: self._cat(words[-1]),
            "cd": self._join_files,
            "cp": self._copy,
            "exit": lambda words: CommandResult(int(words[0]), "", ""),
        }
        if program not in programs:
            return CommandResult(127, "", f"sh: 1: {program}: not found\n")
        return programs[program](words)

    def _hogs(self, words: list[str]) -> CommandResult:
        """Hogs are known by directory and name."""
        self.world.advance(5_000_000)
        options = dict(pairwise(words))
        directory, name = options["--load-dir"], options.get("--name", "")
        hogs = self.world.hogs
        key = (directory, name)
        if words[0] == "end":
            self.directories.discard(directory)
            for known in [known for known in hogs if known[0] == directory]:
                self.world.end_hog(*known)
        elif words[0] == "show":
            shown = (hog.show(self.world.now_ns) for known, hog in hogs.items() if known[0] == directory)
            return self._done("".join(line for lines in shown for line in lines))
        elif words[0] == "run" and directory in self.directories and options["--beside"] in self.world.guests:
            hog = self.world.start_hog(*key, parse_cpulist(options["--vcpus"]), int(options["--weight"]))
            hog.set_duty(float(options["--duty"]))
        elif words[0] == "stop" and key in hogs:
            self.world.end_hog(*key)
        else:
            return CommandResult(1, "", f"pvspin: {name}: cannot {words[0]}\n")
        return self._done()

    @staticmethod
    def _done(stdout: str = "") -> CommandResult:
        return CommandResult(0, stdout, "")

    def _sleep(self, seconds: float, timeout_s: float) -> CommandResult:
        self.world.advance(round(min(seconds, timeout_s) * 1e9))
        if seconds > timeout_s:
            raise self.lost(f"{self.name}: `sleep {seconds}` did not end within {timeout_s} s")
        return self._done()

    def _cat(self, path: str) -> CommandResult:
        if path not in self.files:
            return CommandResult(1, "", f"cat: {path}: No such file or directory\n")
        return self._done(self.files[path].decode(errors="replace"))

    def _copy(self, words: list[str]) -> CommandResult:
        source, target = words[-2:]
        if source not in self.files:
            return CommandResult(1, "", f"cp: cannot stat '{source}': No such file or directory\n")
        self.files[target] = bytearray(self.files[source])
        return self._done()

    def _join_files(self, words: list[str]) -> CommandResult:
        """`cd DIR && umask 077 && cat A B >C && ...`, as boots make their initramfs."""
        directory = PurePosixPath(words[0])
        for part in " ".join(words[1:]).split("&&"):
            match part.split():
                case ["cat", *sources, target]:
                    data = b"".join(bytes(self.files[str(directory / source)]) for source in sources)
                    self.files[str(directory / target.removeprefix(">"))] = bytearray(data)
        return self._done()

    def _make_directory(self, words: list[str]) -> CommandResult:
        self.directories.update(str(path) for path in (Path(words[-1]), *Path(words[-1]).parents))
        return self._done()

    def _remove(self, words: list[str]) -> CommandResult:
        root = words[-1]
        for path in [path for path in self.files if path == root or path.startswith(root + "/")]:
            del self.files[path]
        self.directories -= {one for one in self.directories if one == root or one.startswith(root + "/")}
        return self._done()

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        with self.world.gate(f"{self.name}: put"):
            try:
                if str(Path(target).parent) not in self.directories:
                    raise FileNotFoundError(ENOENT, "no such directory there")
                self.files[target] = bytearray(source.read_bytes())
            except OSError as error:
                raise CommandFailed(f"{self.name}: cannot copy {source}: {error.strerror}") from None

    def fetch(self, source: str, target: Path) -> None:
        with self.world.gate(f"{self.name}: fetch"):
            if source not in self.files:
                raise CommandFailed(f"{self.name}: {source}: no such file")
            target.write_bytes(self.files[source])

    def close(self) -> None:
        pass


class FakeGuestShell(FakeShell):
    """A shell in a guest: knobs and loads."""

    def __init__(self, world: FakeWorld, guest: FakeGuest) -> None:
        super().__init__(world, guest.runs.files, f"guest {guest.node}")
        self.guest = guest
        self.tracing = guest.tracing
        self.lost = GuestLost
        self.kernel = FakeKernel(
            guest.knobs, f"boot-{guest.started_ns}", self._refuses, (STUBBORN,), guest.fences
        )
        self._open = True
        world.open_shells += 1

    def obey(self, program: str, words: list[str], timeout_s: float) -> CommandResult:
        if self.guest.domain not in self.world.guests:
            raise GuestLost(f"{self.name}: ssh connection lost")
        self.world.advance(10_000_000)
        if program == "pvknob":
            return self.kernel.run(words, self.world.now_ns - self.guest.started_ns)
        if program == "pvspin":
            return self._spin(words)
        if program == "pvload":
            return self._pvload(words)
        return super().obey(program, words, timeout_s)

    def _script(self, script: str, words: list[str]) -> CommandResult:
        if self.guest.domain not in self.world.guests:
            raise GuestLost(f"{self.name}: ssh connection lost")
        return super()._script(script, words)

    def _now_ns(self) -> int:
        return self.world.now_ns - self.guest.started_ns

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        """As of any machine; but who waits for a load does so while others let time pass."""
        if not command.startswith("pvload wait "):
            return super().run(command, timeout_s=timeout_s, check=check)
        words = shlex.split(command)[1:]
        with self.world.gate(f"{self.name}: pvload"):
            found = self.guest.runs.obey(words, self._now_ns)
            run = self.guest.runs.runs.get(words[2])
            deadline_ns = self._now_ns() + round(float(words[-1]) * 1e9)
        if run is None or found.status != 1:
            return found
        self._watch_run(run, deadline_ns)
        result = self.guest.runs.obey(words, self._now_ns)  # whoever has the lock waits for `noticed`
        run.noticed = True
        return result

    def _pvload(self, words: list[str]) -> CommandResult:
        before = [one for one in self.guest.runs.runs.values() if one.end_ns]
        result = self.guest.runs.obey(words, self._now_ns)
        for one in self.guest.runs.runs.values():
            if one.end_ns > self._now_ns() and one not in before:
                self.world.at(one.end_ns - self._now_ns(), one.wait_noticed)
        return result

    def _watch_run(self, run: FakeRun, deadline_ns: int) -> None:
        """Until a run ends, by virtual time; without the lock, which whoever lets time pass holds. When nobody lets
        it pass any more, the deadline of whoever asked has come."""
        seen_ns, since_s = self._now_ns(), time.monotonic()
        while self._now_ns() < min(run.end_ns or deadline_ns, deadline_ns):
            if self.guest.domain not in self.world.guests:
                raise GuestLost(f"{self.name}: ssh connection lost")
            if self._now_ns() != seen_ns:
                seen_ns, since_s = self._now_ns(), time.monotonic()
            elif time.monotonic() - since_s > NOBODY_S:
                return
            time.sleep(0.0005)

    def _refuses(self, place: str, value: str) -> str | None:
        if place != MASK:
            return None
        return None if set(parse_cpulist(value)) < set(range(len(self.guest.pins))) else "EINVAL"

    def _spin(self, words: list[str]) -> CommandResult:
        options = dict(pairwise(words))
        name, loads = options["--name"], self.guest.loads
        if words[0] == "stop" and name in loads:
            del loads[name]
        elif words[0] == "run" and name not in loads:
            tasks = int(options["--tasks"])
            loads[name] = FakeLoad(name, tasks, parse_cpulist(options.get("--vcpus", "")), [0.0] * tasks)
        else:
            return CommandResult(1, "", f"pvspin: {name}: cannot {words[0]}\n")
        return self._done()

    def close(self) -> None:
        if self._open:
            self._open = False
            self.world.open_shells -= 1


class FakeHost:
    """The Host port on a FakeWorld."""

    def __init__(self, world: FakeWorld, outer: bool = False) -> None:
        self.world = world
        self.facts = world.facts
        self.shell: Shell = FakeShell(world, world.files)
        self.hypervisor: Hypervisor = FakeHypervisor(world)
        self._outer = outer

    def program(self, name: HostProgram) -> str:
        return f"{STORE}/store/{name}"

    def stage(self, source: Path) -> str:
        with self.world.gate("stage"):
            path = f"{STORE}/store/{source.name}"
            self.world.files[path] = bytearray(source.read_bytes())
            return path

    @contextmanager
    def start_agent(self, stream: str, interval_ms: int) -> Iterator[Agent]:
        agent = FakeAgent(self.world, stream)
        try:
            with self.world.gate("start_agent"):
                self.world.agents.append(agent)
            yield agent
        finally:
            agent.stop()

    def console(self) -> bytes:
        return bytes(self.world.host_console)

    def guest_shell(self, address: str, key_file: Path, host_key: str) -> Shell:
        with self.world.gate("guest_shell"):
            found = [guest for guest in self.world.guests.values() if guest.address == address]
            if not found:
                raise GuestLost(f"guest at {address}: cannot be reached")
        return FakeGuestShell(self.world, found[0])

    @contextmanager
    def start_outer(self, stream: Path, interval_ms: int) -> Iterator[Agent | None]:
        yield None
