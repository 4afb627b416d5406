# SPDX-License-Identifier: GPL-2.0-only
"""The recording: everything that was seen, as a directory of raw bytes.

    recording.json             {"format": 1, "topology": NAME, "lab_id": ID, "created": ISO time, ...}
    topology.yaml              the topology as it was given
    plan.json                  the LabPlan that was carried out
    events.jsonl               one JSON object a line: what the lab did, on the host's monotonic clock
    kvmstats.jsonl             one JSON object a line: KVM's statistics of every domain at one time
    host/probe.stream          the host probe's bytes (images/probe/STREAM.md)
    host/outer.stream          the same probe outside of the host VM, watching the host VM's own vCPU threads
    host/console.log           what the host VM's console said meanwhile, where the lab owns it
    guests/NODE/probe.stream   the guest probe's bytes, as they came through the virtio-serial port
    guests/NODE/console.log    the guest's console
    guests/NODE/domain.xml     the domain as it was defined
    guests/NODE/loads/LOAD/N.out, N.status
                               what run number N (from 0) of a load wrote, and how it ended (images/probe/pvload.c)
    host/traces/PHASE/cpuN.raw, formats, about
                               of a traced phase, what the host's kernel recorded (images/probe/TRACE.md)
    host/traces/PHASE/threads  whose threads these are (lab.measure.tracefiles); offsets: how KVM moves guests' TSC
    guests/NODE/traces/PHASE/cpuN.raw, formats, about
                               the same of a guest's kernel
    guests/NODE/boots/N/       the first three of start number N (from 0), where the guest was started anew since
    guests/NODE/lost/N/console.log
                               the console of the Nth boot that was lost before the guest was up
    series/                    the patches that `lab try` tried, and try.json: what was tried on what
    definitions/               files of definitions that the topology names (lab.run.definitions)
    kernels/NAME/given/        patches and config fragments of a kernel, where not all of them are the lab's own
    verdicts.json              what the judge said (made anew by `lab check`)
    decoded.json               file and line of frames by console and frame, where the kernel was at hand
    metrics.json               what `lab compare` compares (lab.cli.metricfile), made anew where it is out of date
    lost/N/                    the same for the Nth attempt, where an attempt lost a guest or the host

Raw bytes are kept as they came and parsed later, so that a parser's mistake costs a `lab check` and not the
experiment. Files are written as things happen: a recording cut short holds what was seen until then.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from lab.errors import InputError, RecordingError
from lab.measure.findings import RecordedConsole
from lab.measure.loadruns import LoadOutput
from lab.measure.tracefiles import TracedPhase
from lab.plan.labplan import HOST_SCOPE, LabPlan, parse_plan_json, render_plan_json

if TYPE_CHECKING:  # columns of numbers take longer to load than most commands take
    from lab.trace.decode import TraceFiles

FORMAT = 1
#: What an attempt finds in the directory: what was lost before it, and the patches that its kernels are built with.
KEPT_NAMES = ("lost", "series")
ABOUT_FILE = "recording.json"
#: Of a recording, and of a lab that is up.
EVENTS_FILE = "events.jsonl"
DECODED_FILE = "decoded.json"
#: Files of definitions that the topology named, as they were.
DEFINITIONS = "definitions"
#: What its kernels were built from (lab.artifacts.given).
KEPT_KERNELS = "kernels"


@dataclass(frozen=True)
class Event:
    """One thing the lab did or noticed; `t_ns` is the host's CLOCK_MONOTONIC, `data` depends on `kind`.

    Kinds: `phase` (phase, start_ns, end_ns: the measured window; begin_ns: when the changes before it were done),
    `knob` (node or @host, knob, generation, backend, path, old, new in the knob's unit, raw_old, raw_new as the
    place has them; guest_t0_ns, guest_t1_ns around the write, within host_t0_ns, host_t1_ns, which alone time a
    write on the host; where vCPUs are folded by it fold, fold_node, fold_vcpus; guest: whose vCPU's control group
    it is), `knob-skipped` (node, knob, value, reason: an optional one the kernel lacks), `knob-restored` (node,
    knob, path, old, new, clocks as of `knob`), `load-start` and `load-stop` (load, node; of a load with a command
    `load-start` is at the moment when it was to begin, with its run's number, and guest_t0_ns and its companions
    as of `knob`, around the command that told it), `ready` (node, boot_s), `restart` (node, boot, cmdline,
    kernel: its start number `boot`, counted from 0, before which the one before it ends), `govern` (node, source,
    action, bound, seen_pct, high_pct, low_pct, by, before, after, write_ns; from_ns, to_ns: the period it was
    made from, by `clock`), `hog-start` (hog, pcpus, duty_pct), `hog-stop` (hog), `hog-work` (edge, hog, thread,
    work, run_ns: what a thread had done at an edge of a window), `contention` (what, old, new: pins of node and
    vcpu as cpulists, duty of hog in per cent), `schedule` (phase, planned_ns, begun_ns, done_ns, changes),
    `retry` (what, reason, attempt), `lost` (what, reason), `disturbance` (reason), `note` (text).
    """

    t_ns: int
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class KvmStats:
    """Cumulative KVM counters of one vCPU, read between `t0_ns` and `t1_ns` on the host's clock."""

    t0_ns: int
    t1_ns: int
    node: str
    vcpu: int
    counters: Mapping[str, int]


class Recording:
    """A recording on disk, for reading. Raises RecordingError where it cannot be used."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.about = self._read_about()

    def _read_about(self) -> Mapping[str, Any]:
        try:
            about = json.loads((self.directory / ABOUT_FILE).read_text())
        except FileNotFoundError:
            raise RecordingError(
                f"{self.directory}: not a recording (no recording.json in it)",
                "`lab run TOPOLOGY --record DIR` makes one",
            ) from None
        except (OSError, ValueError) as error:
            raise RecordingError(f"{self.directory}/recording.json: cannot be read: {error}") from None
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise RecordingError(
                f"{self.directory}: format {about.get('format')!r}, this lab reads format {FORMAT}"
            )
        return about

    def plan(self) -> LabPlan:
        """The plan that was carried out."""
        path = self.directory / "plan.json"
        try:
            return parse_plan_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RecordingError(f"{path}: cannot be read as a plan: {error}") from None

    def events(self) -> tuple[Event, ...]:
        """All events in the order in which they happened; an unfinished last line is left out."""
        return read_events(self.directory / EVENTS_FILE)

    def kvm_stats(self) -> tuple[KvmStats, ...]:
        """KVM statistics in the order in which they were read; empty where the host has none."""
        return tuple(KvmStats(**line) for line in _read_jsonl(self.directory / "kvmstats.jsonl"))

    def host_stream(self) -> bytes:
        """The host probe's raw bytes; empty if it never spoke."""
        return _read_bytes(self.directory / "host/probe.stream")

    def outer_stream(self) -> bytes:
        """Raw bytes of the probe outside of the host VM; empty where there is no host VM."""
        return _read_bytes(self.directory / "host/outer.stream")

    def guest_stream(self, node: str) -> bytes:
        """The raw bytes of `node`'s probe; empty if it never spoke."""
        return _read_bytes(self.directory / "guests" / node / "probe.stream")

    def earlier_guest_streams(self, node: str) -> tuple[bytes, ...]:
        """The same of its earlier starts, in order; empty where `node` was not started anew."""
        boots = self.directory / "guests" / node / "boots"
        numbers = sorted(int(path.name) for path in boots.glob("*") if path.name.isdecimal())
        return tuple(_read_bytes(boots / str(number) / "probe.stream") for number in numbers)

    def load_outputs(self, node: str) -> tuple[LoadOutput, ...]:
        """What the runs of loads left behind on `node`, by load and number."""
        found = (self.directory / "guests" / node / "loads").glob("*/*.status")
        runs = sorted((path.parent.name, int(path.stem)) for path in found if path.stem.isdecimal())
        return tuple(self._load_output(node, load, number) for load, number in runs)

    def _load_output(self, node: str, load: str, number: int) -> LoadOutput:
        path = self.directory / "guests" / node / "loads" / load / str(number)
        status, output = (_read_bytes(path.with_suffix(suffix)) for suffix in (".status", ".out"))
        return LoadOutput(load, number, status, output)

    def traces(self, phase: str) -> TracedPhase | None:
        """What the traces of `phase` are made of; None where it was not traced."""
        guests = self._guests_traces(phase)
        host = self.directory / "host/traces" / phase
        if not guests and not host.is_dir():
            return None
        return TracedPhase(
            _read_trace(host), guests, _read_bytes(host / "threads"), _read_bytes(host / "offsets")
        )

    def _guests_traces(self, phase: str) -> dict[str, TraceFiles]:
        found = sorted((self.directory / "guests").glob("*/traces"))
        return {path.parent.name: _read_trace(path / phase) for path in found if (path / phase).is_dir()}

    def console(self, node: str) -> str:
        """The console of `node`, undecodable bytes replaced; empty if there is none."""
        return _read_bytes(self.directory / "guests" / node / "console.log").decode(errors="replace")

    def host_console(self) -> str:
        """The console of the host VM, likewise."""
        return _read_bytes(self.directory / "host/console.log").decode(errors="replace")

    def consoles(self) -> tuple[RecordedConsole, ...]:
        """All consoles: the host VM's, every guest's by its starts, and those of what was lost."""
        lost = (
            console
            for path in self.lost_attempts()
            for console in self._consoles(path, f"lost attempt {path.name}")
        )
        return (*self._consoles(self.directory, ""), *lost)

    def decoded_frames(self) -> Mapping[str, Mapping[str, str]]:
        """File and line of frames by console (its path) and frame, as `lab decode` or the run found them."""
        try:
            return TypeAdapter(dict[str, dict[str, str]]).validate_json(
                _read_bytes(self.directory / DECODED_FILE) or b"{}"
            )
        except ValueError as error:
            raise RecordingError(f"{self.directory / DECODED_FILE}: cannot be read: {error}") from None

    def _consoles(self, directory: Path, which: str) -> Iterator[RecordedConsole]:
        host = directory / "host/console.log"
        if host.exists():
            yield self._console(HOST_SCOPE, host, which)
        for guest in sorted((directory / "guests").glob("*")):
            for kind, word in (("lost", "lost boot"), ("boots", "start")):
                for path in sorted(guest.glob(f"{kind}/*/console.log"), key=_number_of):
                    yield self._console(guest.name, path, which, f"{word} {path.parent.name}")
            if (guest / "console.log").exists():
                yield self._console(guest.name, guest / "console.log", which)

    def _console(self, node: str, path: Path, *which: str) -> RecordedConsole:
        said = ", ".join(word for word in which if word)
        return RecordedConsole(node, str(path.relative_to(self.directory)), _read_bytes(path), said)

    def topology_text(self) -> str:
        """The topology as it was given, likewise."""
        return _read_bytes(self.directory / "topology.yaml").decode(errors="replace")

    def lost_attempts(self) -> tuple[Path, ...]:
        """The directories of attempts that lost a guest or the host, in order: recordings themselves."""
        found = [path for path in (self.directory / "lost").glob("*") if path.name.isdecimal()]
        return tuple(sorted(found, key=lambda path: int(path.name)))


class RecordingWriter:
    """A recording being made. Use as a context manager; every line is flushed as it is written."""

    def __init__(self, directory: Path, plan: LabPlan, topology_text: str, about: Mapping[str, Any]) -> None:
        self.directory = directory
        claim_directory(directory)
        for node in plan.nodes:
            (directory / "guests" / node.name).mkdir(parents=True)
        (directory / "host").mkdir()
        (directory / "plan.json").write_text(render_plan_json(plan))
        (directory / "topology.yaml").write_text(topology_text)
        head = {"format": FORMAT, "topology": plan.name, "lab_id": plan.lab_id, **about}
        (directory / ABOUT_FILE).write_text(json.dumps(head, indent=2) + "\n")
        self._events = (directory / EVENTS_FILE).open("a")
        self._kvm_stats = (directory / "kvmstats.jsonl").open("a")

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._events.close()
        self._kvm_stats.close()

    def event(self, event: Event) -> None:
        """Append one event."""
        self._events.write(render_event(event))
        self._events.flush()

    def kvm_stats(self, stats: KvmStats) -> None:
        """Append one vCPU's counters."""
        self._append(self._kvm_stats, stats.__dict__)

    @staticmethod
    def _append(file: Any, line: Mapping[str, Any]) -> None:
        file.write(json.dumps(line) + "\n")
        file.flush()

    def host_path(self, name: str) -> Path:
        """Where a file about the host goes: probe.stream, outer.stream, console.log."""
        return self.directory / "host" / name

    def guest_path(self, node: str, name: str, boot: int | None = None) -> Path:
        """Where probe.stream, console.log or domain.xml of `node` goes: of its last start, or of number `boot`."""
        directory = self.directory / "guests" / node
        if boot is not None:
            directory = directory / "boots" / str(boot)
            directory.mkdir(parents=True, exist_ok=True)
        return directory / name

    def lost_console_path(self, node: str, number: int) -> Path:
        """Where the console of the boot of `node` that was the `number`th to be lost goes."""
        directory = self.directory / "guests" / node / "lost" / str(number)
        directory.mkdir(parents=True, exist_ok=True)
        return directory / "console.log"

    def load_path(self, node: str, load: str, number: int, name: str) -> Path:
        """Where a file (out, status) of a load's run number `number` on `node` goes."""
        directory = self.directory / "guests" / node / "loads" / load
        directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{number}.{name}"

    def trace_directory(self, machine: str, phase: str) -> Path:
        """Where the trace of a phase goes, of the host (HOST_SCOPE) or a node; what was there is removed."""
        where = self.directory / ("host" if machine == HOST_SCOPE else f"guests/{machine}")
        directory = where / "traces" / phase
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
        return directory

    def has_boot(self, node: str, boot: int) -> bool:
        """Whether the files of an earlier start are there; domain.xml is the last to be written."""
        return (self.directory / "guests" / node / "boots" / str(boot) / "domain.xml").exists()


def read_events(path: Path) -> tuple[Event, ...]:
    """The events in a file of theirs, in order; an unfinished last line is left out, a missing file has none."""
    return tuple(Event(line.pop("t_ns"), line.pop("kind"), line) for line in _read_jsonl(path))


def render_event(event: Event) -> str:
    """The line of such a file."""
    return json.dumps({"t_ns": event.t_ns, "kind": event.kind, **event.data}) + "\n"


def claim_directory(directory: Path) -> None:
    """Make the directory of a new recording. Raises InputError where it cannot be, or holds anything."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        occupied = any(path.name not in KEPT_NAMES for path in directory.iterdir())
    except OSError as error:
        raise InputError(f"{directory}: cannot be used for a recording: {error.strerror}") from None
    if occupied:
        raise InputError(
            f"{directory}: is not empty, and a recording is never overwritten", "name a new directory"
        )


def _number_of(path: Path) -> int:
    name = path.parent.name
    return int(name) if name.isdecimal() else 0


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from None


def _read_trace(directory: Path) -> TraceFiles:
    """A file that is missing counts as empty."""
    from lab.trace.decode import TraceFiles

    numbers = sorted(int(name) for path in directory.glob("cpu*.raw") if (name := path.stem[3:]).isdecimal())
    return TraceFiles(
        about=_read_bytes(directory / "about"),
        formats=_read_bytes(directory / "formats"),
        raw={number: _read_bytes(directory / f"cpu{number}.raw") for number in numbers},
    )


def _read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    lines = _read_bytes(path).split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            value = json.loads(line)
        except ValueError:
            raise RecordingError(f"{path}:{number}: is not a JSON object") from None
        if not isinstance(value, dict):
            raise RecordingError(f"{path}:{number}: is not a JSON object")
        yield value
