# SPDX-License-Identifier: GPL-2.0-only
"""A lab as `pvprobe follow` tells of it, second by second, and knobs to go with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fakeworld import make_facts, make_plan, make_topology

from lab.errors import KnobError
from lab.live.feed import Look, LookParser
from lab.live.knobrows import KnobRow
from lab.live.step import Update
from lab.plan.labplan import HOST_SCOPE, LabPlan

SECOND_NS = 1_000_000_000
TOPOLOGY = "nodes: [{name: guest, count: 2, vcpus: 2, pinning: spread}]\nload: [{name: busy, tasks: 2}]\n"


def make_top_plan(text: str = TOPOLOGY) -> LabPlan:
    """Two guests that share two pCPUs."""
    return make_plan(make_topology(text), make_facts())


class FakeFollower:
    """Lines as the follower says them: `speak` for each second. Every vCPU runs `runs` of the time and waits for
    the rest, losing its pCPU `preempted` times a second; spin tasks do 1000 units a second."""

    def __init__(self, plan: LabPlan, runs: float = 0.5, preempted: int = 20) -> None:
        self.plan = plan
        self.runs = runs
        self.preempted = preempted
        self.silent: set[str] = set()
        self.gone: set[str] = set()
        self.loads = {"busy"}
        self.offline: set[tuple[str, int]] = set()
        self.marks: list[str] = []
        self.console: dict[str, list[str]] = {}
        self._second = 0
        self._told_gone: set[str] = set()

    def hello(self) -> list[str]:
        lines = ["pvfollow 1 every_ms=1000"]
        lines.append(f"h {HOST_SCOPE} pvprobe 1 host interval_ms=1000 boot_ns=1 user_hz=100 tasks=1")
        lines += [
            f"h {one.name} pvprobe 1 guest interval_ms=100 boot_ns=1 user_hz=100" for one in self.plan.nodes
        ]
        return lines

    def speak(self) -> list[str]:
        """The lines of the next look."""
        self._second += 1
        lines = self._host()
        for node in self.plan.nodes:
            if node.name not in self.gone | self.silent:
                lines += self._guest(node.name, [one.vcpu for one in node.vcpus])
        for name, said in self.console.items():
            lines += [f"c {name} {one}" for one in said]
        self.console = {}
        return [*lines, f"z {self._second * SECOND_NS + 1000} {self._second * 2_000_000}"]

    def _host(self) -> list[str]:
        t_ns = self._second * SECOND_NS
        prefix = f"s {HOST_SCOPE} "
        lines = [f"b {self._second} {t_ns}"]
        for pcpu in self.plan.pcpus:
            lines.append(f"k cpu{pcpu} {self._second * 100} 0 0 7 0 0 0 0 0 0")
        for node in self.plan.nodes:
            if node.name not in self.gone:
                lines += [self._thread(node.name, one.vcpu, t_ns) for one in node.vcpus]
        lines.append(f"e {self._second} {t_ns} 5")
        lines += [f"m {t_ns} {text}" for text in self.marks]
        lines += [f"g {name} {t_ns}" for name in sorted(self.gone - self._told_gone)]
        self._told_gone |= self.gone
        self.marks = []
        return [prefix + line for line in lines]

    def _thread(self, node: str, vcpu: int, t_ns: int) -> str:
        run_ns, delay_ns = round(self.runs * t_ns), round((1 - self.runs) * t_ns)
        switches = self.preempted * self._second
        return f"v {node} {vcpu} {1000 + vcpu} {t_ns} {t_ns} {run_ns} {delay_ns} 9 1 {switches}"

    def _guest(self, name: str, vcpus: Sequence[int]) -> list[str]:
        t_ns, steal = self._second * SECOND_NS + 77, round(100 * (1 - self.runs) * self._second)
        lines = [f"b {self._second} {t_ns}"]
        lines += [f"k cpu{one} 1 0 1 0 0 0 0 {steal} 0 0" for one in vcpus if (name, one) not in self.offline]
        for load in sorted(self.loads):
            lines += [f"w {load} {one} {50 + one} {1000 * self._second} {one} 0-1" for one in (0, 1)]
        return [f"s {name} {line}" for line in [*lines, f"e {self._second} {t_ns} 5"]]


def looks(lines: Iterable[str], parser: LookParser | None = None) -> list[Look]:
    """The looks that are in lines of a follower."""
    parser = parser or LookParser()
    return [look for look in map(parser.take, lines) if look is not None]


class FakeSource:
    """A source of news; each second of `follower` is one look, told when `pass_seconds` is called."""

    title = "fake (abc123) on nested"

    def __init__(self, follower: FakeFollower) -> None:
        self.follower = follower
        self.plan = follower.plan
        self._parser = LookParser()
        looks(follower.hello(), self._parser)
        self._waiting: list[Update] = []

    def pass_seconds(self, count: int = 1) -> None:
        for _ in range(count):
            self._waiting += looks(self.follower.speak(), self._parser)

    def tell(self, update: Update) -> None:
        """Something besides looks."""
        self._waiting.append(update)

    def news(self) -> Iterator[Update]:
        waiting, self._waiting = self._waiting, []
        return iter(waiting)


class FakeBench:
    """Knobs in a dictionary by (machine, knob). A value "refused" is refused by the kernel."""

    def __init__(self, values: dict[tuple[str, str], str], refusal: str = "") -> None:
        self.values = values
        self.refusal = refusal
        self.writes: list[tuple[str, str, str]] = []

    def read(self, machine: str) -> list[KnobRow]:
        return [
            KnobRow(machine, name, value) for (node, name), value in self.values.items() if node == machine
        ]

    def kernel_log(self, machine: str) -> list[str]:
        if machine == HOST_SCOPE:
            raise KnobError("the host does not answer")
        return [f"[    0.000000] Linux on {machine}", "\x1b[2Jnothing else"]

    def write(self, machine: str, knob: str, value: str) -> str:
        self.writes.append((machine, knob, value))
        if value == "refused":
            raise KnobError(f"{machine} {knob}: the kernel refuses {value!r}", "look at its log")
        old, self.values[machine, knob] = self.values[machine, knob], value
        return f"{machine} {knob}: {old or 'empty'} -> {value or 'empty'}"
