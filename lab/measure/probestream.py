# SPDX-License-Identifier: GPL-2.0-only
"""The probe's stream (images/probe/STREAM.md) as plain data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab.measure.snapshots import HostSnapshot, OpenSnapshot
from lab.measure.streamwords import CpuTimes as CpuTimes
from lab.measure.streamwords import DamageError, parse_cpu_times
from lab.measure.streamwords import parse_number as _number
from lab.measure.streamwords import parse_numbers as _numbers

#: The version of the stream that this parser understands.
VERSION = 1

_HELLO = re.compile(r"pvprobe (\d+) (\w+)((?: [a-z_]+=\S+)*)")


class StreamError(ValueError):
    """A stream that is damaged, or of an unknown version; says line, byte offset and what is wrong."""

    def __init__(self, line_number: int, offset: int, line: bytes, problem: str) -> None:
        shown = line[:80].decode("utf-8", "backslashreplace")
        super().__init__(f"line {line_number} (byte {offset}): {problem}: {shown!r}")
        self.line_number = line_number
        self.offset = offset


@dataclass(frozen=True)
class Hello:
    """The first line. `keys` are all its key=value pairs, those understood and those not."""

    side: Literal["guest", "host"]
    interval_ms: int
    boot_ns: int
    keys: Mapping[str, str]

    @property
    def user_hz(self) -> int:
        """Units of /proc/stat per second; 100 on every Linux since 2.6 where the probe does not say."""
        return int(self.keys.get("user_hz", "100"))


@dataclass(frozen=True)
class TaskSample:
    """One task of a load at one sample. `work` counts from the load's start, `affinity` is a cpulist."""

    load: str
    task: int
    tid: int
    work: int
    vcpu: int
    affinity: str


@dataclass(frozen=True)
class VcpuSample:
    """One vCPU thread at one sample: cumulative schedstat, read between `t0_ns` and `t1_ns`, and switches."""

    guest: str
    vcpu: int
    tid: int
    t0_ns: int
    t1_ns: int
    run_ns: int
    delay_ns: int
    slices: int
    voluntary: int
    involuntary: int

    @property
    def t_ns(self) -> int:
        """The middle of the read."""
        return (self.t0_ns + self.t1_ns) // 2


@dataclass(frozen=True)
class FileSample:
    """A watched file as one sample found it; `value` is empty where the file is."""

    path: str
    value: str


@dataclass(frozen=True)
class Sample:
    """One whole sample. `end_offset` is the number of bytes of the stream up to and with its last line."""

    seq: int
    t0_ns: int
    t1_ns: int
    probe_cpu_ns: int
    end_offset: int
    cpus: tuple[CpuTimes, ...] = ()
    tasks: tuple[TaskSample, ...] = ()
    vcpus: tuple[VcpuSample, ...] = ()
    files: tuple[FileSample, ...] = ()

    @property
    def t_ns(self) -> int:
        """The middle between the first and the last read."""
        return (self.t0_ns + self.t1_ns) // 2


@dataclass(frozen=True)
class Mark:
    """A mark that somebody set."""

    t_ns: int
    text: str


@dataclass(frozen=True)
class Arrival:
    """`offset` bytes of the stream of `guest` had reached the host at `t_ns` of the host's clock."""

    guest: str
    t_ns: int
    offset: int


@dataclass(frozen=True)
class Gone:
    """The emulator process of `guest` was gone at `t_ns`."""

    guest: str
    t_ns: int


@dataclass(frozen=True)
class ProbeStream:
    """A parsed stream; `hello` is None where not even the first line is complete.

    `dropped` is the probe's own count of samples that it had to drop; a host's stream has `snapshots`, as they were
    asked for.
    """

    hello: Hello | None
    samples: tuple[Sample, ...] = ()
    marks: tuple[Mark, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    gone: tuple[Gone, ...] = ()
    dropped: int = 0
    snapshots: tuple[HostSnapshot, ...] = ()


def parse_stream(data: bytes) -> ProbeStream:
    """`data` as far as it goes: an unfinished last line and an unfinished last sample are left out.

    Raises StreamError on damage in the middle, on lines of unknown kind, and on other versions.
    """
    parser = _Parser()
    offset = 0
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        end = offset + len(line) + 1
        try:
            parser.take(line.decode("ascii"), end)
        except (ValueError, IndexError) as error:
            problem = str(error) if isinstance(error, DamageError) else "cannot be read"
            raise StreamError(number, offset, line, problem) from None
        offset = end
    return parser.stream()


@dataclass
class _Open:
    """A sample whose last line has not come yet."""

    seq: int
    t0_ns: int
    cpus: list[CpuTimes] = field(default_factory=list)
    tasks: list[TaskSample] = field(default_factory=list)
    vcpus: list[VcpuSample] = field(default_factory=list)
    files: list[FileSample] = field(default_factory=list)


class _Parser:
    """Takes lines one after the other; each kind of line has its method."""

    def __init__(self) -> None:
        self._hello: Hello | None = None
        self._open: _Open | None = None
        self._samples: list[Sample] = []
        self._marks: list[Mark] = []
        self._arrivals: list[Arrival] = []
        self._gone: list[Gone] = []
        self._snapshot: OpenSnapshot | None = None
        self._snapshots: list[HostSnapshot] = []
        self._dropped = 0
        inside: dict[str, Callable[[list[str]], None]] = {
            "k": self._cpu,
            "w": self._task,
            "v": self._vcpu,
            "f": self._file,
        }
        outside: dict[str, Callable[[list[str]], None]] = {
            "b": self._begin,
            "d": self._drop,
            "a": self._arrival,
            "g": self._end_of_guest,
        }
        self._inside, self._outside = inside, outside

    def stream(self) -> ProbeStream:
        return ProbeStream(
            self._hello,
            tuple(self._samples),
            tuple(self._marks),
            tuple(self._arrivals),
            tuple(self._gone),
            self._dropped,
            tuple(self._snapshots),
        )

    def take(self, line: str, end_offset: int) -> None:
        if self._hello is None:
            self._hello = _parse_hello(line)
            return
        kind, _, rest = line.partition(" ")
        if self._snapshot is not None:
            self._take_in_snapshot(self._snapshot, kind, rest)
        elif kind == "s" and self._open is None:
            self._begin_snapshot(rest)
        elif kind == "m":
            self._mark(rest)
        elif kind == "e":
            self._finish(rest.split(" "), end_offset)
        else:
            self._handler(kind)(rest.split(" "))

    def _begin_snapshot(self, rest: str) -> None:
        self._need_side("host")
        t0_ns, _, name = rest.partition(" ")
        self._snapshot = OpenSnapshot(name, _number(t0_ns))

    def _take_in_snapshot(self, snapshot: OpenSnapshot, kind: str, rest: str) -> None:
        if kind != "z":
            snapshot.take(kind, rest)
            return
        self._snapshots.append(snapshot.finish(rest))
        self._snapshot = None

    def _handler(self, kind: str) -> Callable[[list[str]], None]:
        here, elsewhere = (self._inside, self._outside) if self._open else (self._outside, self._inside)
        if kind in here:
            return here[kind]
        where = "inside" if self._open else "outside"
        raise DamageError(f"line stands {where} of a sample" if kind in elsewhere else "line of unknown kind")

    def _mark(self, rest: str) -> None:
        if self._open:
            raise DamageError("line stands inside of a sample")
        t_ns, _, text = rest.partition(" ")
        self._marks.append(Mark(_number(t_ns), text))

    def _begin(self, words: list[str]) -> None:
        seq, t0_ns = _numbers(words, 2)
        if self._samples and (seq <= self._samples[-1].seq or t0_ns < self._samples[-1].t1_ns):
            raise DamageError("sample does not come after the one before")
        self._open = _Open(seq, t0_ns)

    def _finish(self, words: list[str], end_offset: int) -> None:
        seq, t1_ns, probe_cpu_ns = _numbers(words, 3)
        sample = self._open
        if sample is None or sample.seq != seq or t1_ns < sample.t0_ns:
            raise DamageError("ends no sample that has begun")
        parts = tuple(sample.cpus), tuple(sample.tasks), tuple(sample.vcpus), tuple(sample.files)
        self._samples.append(Sample(seq, sample.t0_ns, t1_ns, probe_cpu_ns, end_offset, *parts))
        self._open = None

    def _cpu(self, words: list[str]) -> None:
        self._need_open().cpus.append(parse_cpu_times(words))

    def _task(self, words: list[str]) -> None:
        self._need_side("guest")
        load, *numbers, affinity = words
        task, tid, work, vcpu = _numbers(numbers, 4)
        self._need_open().tasks.append(TaskSample(load, task, tid, work, vcpu, affinity))

    def _file(self, words: list[str]) -> None:
        self._need_side("guest")
        path, *value = words
        if not path.startswith("/") or not value:
            raise DamageError("is no line of a watched file")
        text = " ".join(value)
        self._need_open().files.append(FileSample(path, "" if text == "-" else text))

    def _vcpu(self, words: list[str]) -> None:
        self._need_side("host")
        guest, *numbers = words
        self._need_open().vcpus.append(VcpuSample(guest, *_numbers(numbers, 9)))

    def _drop(self, words: list[str]) -> None:
        (total,) = _numbers(words, 1)
        if total < self._dropped:
            raise DamageError("fewer dropped samples than before")
        self._dropped = total

    def _arrival(self, words: list[str]) -> None:
        self._need_side("host")
        guest, *numbers = words
        self._arrivals.append(Arrival(guest, *_numbers(numbers, 2)))

    def _end_of_guest(self, words: list[str]) -> None:
        self._need_side("host")
        guest, *numbers = words
        self._gone.append(Gone(guest, *_numbers(numbers, 1)))

    def _need_open(self) -> _Open:
        assert self._open is not None  # _handler() chose by it
        return self._open

    def _need_side(self, side: str) -> None:
        if self._hello is None or self._hello.side != side:
            raise DamageError(f"line belongs to a {side}'s stream")


def _parse_hello(line: str) -> Hello:
    match = _HELLO.fullmatch(line)
    if match is None:
        raise DamageError("is no first line of a probe's stream")
    if int(match[1]) != VERSION:
        raise DamageError(f"version {match[1]} of the stream, this parser reads version {VERSION}")
    keys = dict(pair.split("=", 1) for pair in match[3].split())
    side = match[2]
    if side not in ("guest", "host"):
        raise DamageError(f"unknown side {side!r}")
    missing = {"interval_ms", "boot_ns"} - keys.keys()
    if missing:
        raise DamageError(f"first line lacks {', '.join(sorted(missing))}")
    known: Literal["guest", "host"] = "guest" if side == "guest" else "host"
    return Hello(known, _number(keys["interval_ms"]), _number(keys["boot_ns"]), keys)
