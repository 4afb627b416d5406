# SPDX-License-Identifier: GPL-2.0-only
"""Arms that are switched again and again: each begins from the same state, and whatever fails, nothing is left."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from fakeworld import HOST_KNOB, HOST_VALUE, MASK, FakeWorld, Fault, nested_world
from run.bench import Bench

from lab.errors import GuestLost, HostLost, KnobError, LabFailure
from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements
from lab.plan.labplan import PhasePlan
from lab.plan.restarts import plan_restarts
from lab.recording import Event, Recording
from lab.run.boot import BootWish
from lab.run.events import Journal
from lab.run.lab import open_lab
from lab.run.ports import Launch, Shell
from lab.topology.decode import decode_topology

#: `plain` has no mask; in `folded` the host has another value of a knob, too.
ARMS = """\
version: 1
name: fake
host: {pcpus: 0-1}
kernels:
  plain: {source: {debian: "6.12"}}
  patched: {source: {debian: "6.12"}, cmdline: with.mask=1}
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, kernel: plain, pinning: ["0", "1"]}]
load:
  - {name: few, nodes: guest1, tasks: 2}
  - {name: all, tasks: 2}
knobs: [{knob: kvm.halt_poll, value: 1000}]
phases:
  - {name: one, start: [few], duration: 3s, settle: 200ms}
  - {name: two, start: [all], stop: [few], duration: 3s, settle: 200ms}
arms:
  - {name: base}
  - {name: flat, kernel: patched}
  - name: folded
    kernel: patched
    set: [{knob: kvm.halt_poll, value: 0}]
    fold: [{nodes: guest1, vcpus: "1", by: mask}, {nodes: guest2, vcpus: "0", by: mask}]
repeats: {count: 2, warmup: 1, order: abba, aa: true}
"""


class MasklessWorld(FakeWorld):
    """A kernel that is not patched has no mask."""

    def start_guest(self, xml: str) -> None:
        super().start_guest(xml)
        for guest in self.guests.values():
            if "with.mask" not in guest.cmdline:
                guest.knobs = {name: value for name, value in guest.knobs.items() if name != MASK}


class ArmBench(Bench):
    """A bench with two kernels and arms."""

    def __init__(self, directory: Path, world: FakeWorld | None = None, text: str = ARMS) -> None:
        directory.mkdir(exist_ok=True)
        self._kernels = {name: directory / name for name in ("plain", "patched")}
        for name, path in self._kernels.items():
            path.write_text(f"kernel {name}")
        super().__init__(directory, world or MasklessWorld())
        self.topology = decode_topology(text, Path("/topologies/fake.yaml"))

    def use(self, world: FakeWorld) -> None:
        self._launch = Launch(self._launch.root_image, self._kernels, self._launch.init_binary)
        super().use(world)

    def events(self) -> list[Event]:
        return list(Recording(self.recording).events())

    def measured(self) -> Measurements:
        recording = Recording(self.recording)
        return measure_recording(recording, recording.plan())

    def phases(self) -> tuple[PhasePlan, ...]:
        return Recording(self.recording).plan().phases


def assert_nothing_is_left(bench: Bench) -> None:
    assert bench.leftovers() == []
    assert bench.records.all() == ()
    assert bench.foreign_is_there()
    assert bench.world.host_knobs == {HOST_KNOB: HOST_VALUE}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ArmBench:
    bench = ArmBench(tmp_path_factory.mktemp("arms"))
    bench.run()
    return bench


def test_every_window_is_measured_in_the_order_of_the_plan_and_nothing_is_left(finished: ArmBench) -> None:
    measured = [event.data["phase"] for event in finished.events() if event.kind == "phase"]
    assert measured == [phase.name for phase in finished.phases()]
    assert len(measured) == 4 * 3 * 2
    assert_nothing_is_left(finished)


def test_guests_are_started_anew_where_the_plan_says_and_nowhere_else(finished: ArmBench) -> None:
    plan = Recording(finished.recording).plan()
    planned = [(one.node, one.kernel) for each in plan_restarts(plan) for one in each]
    done = [event.data for event in finished.events() if event.kind == "restart"]
    assert planned
    assert [(one["node"], one["kernel"]) for one in done] == planned
    assert all(("with.mask" in one["cmdline"]) == (one["kernel"] == "patched") for one in done)


def test_domains_name_the_kernel_that_they_boot(finished: ArmBench) -> None:
    starts = sorted(finished.recording.glob("guests/guest1/**/domain.xml"))
    staged = {path.read_text().partition("<kernel>")[2].partition("</kernel>")[0] for path in starts}
    assert len(staged) == 2
    assert len(starts) > 3


def test_each_arm_does_what_it_is_to_do_in_each_repeat(finished: ArmBench) -> None:
    """Folded onto different pCPUs, nobody waits; that must not reach into the windows of other arms."""
    steal = {
        (window.phase, window.node, window.vcpu): round(window.guest_steal_pct or 0.0)
        for window in finished.measured().vcpus
    }
    for phase in finished.phases():
        seen = [steal[phase.name, node, vcpu] for node in ("guest1", "guest2") for vcpu in (0, 1)]
        contended = phase.template == "two" and phase.arm != "folded"
        assert seen == ([50] * 4 if contended else [0] * 4), phase.name


def test_knobs_of_the_host_stand_at_the_beginning_of_each_arm_as_before_the_first(finished: ArmBench) -> None:
    values: list[str] = []
    events = [one for one in finished.events() if one.kind in ("phase", "knob", "knob-restored")]
    told = {phase.name: phase for phase in finished.phases()}
    now = ""
    for event in events:
        if event.kind == "phase":
            values.append(now)
            assert (now == "0") == (told[event.data["phase"]].arm == "folded"), event
        elif event.data["knob"] == "kvm.halt_poll":
            now = event.data["new"]
    assert set(values) == {"0", "1000"}


def test_loads_are_started_afresh_for_every_arm(finished: ArmBench) -> None:
    running: set[tuple[str, str]] = set()
    fresh = {phase.name for phase in finished.phases() if phase.fresh}
    for event in finished.events():
        one = (event.data.get("load"), event.data.get("node"))
        if event.kind == "load-start":
            assert one not in running
            running.add(one)
        elif event.kind == "load-stop":
            running.remove(one)
        elif event.kind == "phase":
            first = event.data["phase"] in fresh
            assert {load for load, _ in running} == ({"few"} if first else {"all"})
    starts = [event for event in finished.events() if event.kind == "load-start"]
    assert len(starts) == 4 * 3 * 3


def test_two_windows_of_one_arm_do_not_overlap(finished: ArmBench) -> None:
    windows = [event.data for event in finished.events() if event.kind == "phase"]
    assert all(before["end_ns"] <= after["start_ns"] for before, after in pairwise(windows))


def test_each_kernel_is_booted_with_its_own_modules(tmp_path: Path) -> None:
    bench = ArmBench(tmp_path)
    archive = tmp_path / "modules.cpio"
    archive.write_bytes(b"MODULES")
    launch = replace(bench.around.launch, modules={"patched": archive})
    wish = BootWish("patched", {})
    with open_lab(bench.host, bench.plan(), replace(bench.around, launch=launch), Journal()) as lab:
        own = bytes(bench.world.files[lab.files["guest1"].paths.initrd])
        assert lab.boot_as_wished({"guest1": wish}) == ("guest1",)
        assert lab.boot_as_wished({"guest1": wish}) == ()
        other = bytes(bench.world.files[lab.files["guest1"].paths.initrd])
    assert other == own + b"MODULES"


# ---- what goes wrong


class LosingWorld(MasklessWorld):
    """A guest dies once, in the window of `phase`."""

    def __init__(self, phase: str, times: int) -> None:
        super().__init__()
        self.phase, self.times = phase, times

    @classmethod
    def of(cls, phase: str, times: int = 1) -> LosingWorld:
        return cls(phase, times)

    def marked(self, text: str) -> None:
        if text == f"phase-start {self.phase}" and self.times:
            self.times -= 1
            victim = next(guest for name, guest in self.guests.items() if name != "foreign")
            self.at(500_000_000, lambda: self.kill_guest(victim))


def mark_phases(bench: Bench, world: LosingWorld) -> None:
    """Let the world know of marks."""
    start_agent = bench.host.start_agent

    def start(stream: str, interval_ms: int):  # type: ignore[no-untyped-def]
        context = start_agent(stream, interval_ms)
        enter = context.__enter__

        class Told:
            def __enter__(self):  # type: ignore[no-untyped-def]
                agent = enter()
                send = agent.send

                def tell(line: str) -> None:
                    send(line)
                    world.marked(line.removeprefix("mark "))

                agent.send = tell
                return agent

            def __exit__(self, *error):  # type: ignore[no-untyped-def]
                return context.__exit__(*error)

        return Told()

    bench.host.start_agent = start  # type: ignore[method-assign]


def test_a_guest_lost_in_a_later_arm_is_started_again_and_only_that_arm_is_repeated(tmp_path: Path) -> None:
    world = LosingWorld.of("two.folded.1", times=2)
    bench = ArmBench(tmp_path, world)
    mark_phases(bench, world)
    bench.run()
    retries = [event.data for event in bench.events() if event.kind == "retry"]
    assert [(one["what"], one["attempt"]) for one in retries] == [
        ("repeat 1 of arm folded", 1),
        ("repeat 1 of arm folded", 2),
    ]
    assert all(" died" in one["reason"] for one in retries)
    measured = [event.data["phase"] for event in bench.events() if event.kind == "phase"]
    again = measured.index("one.folded.1")
    assert measured[again : again + 4] == ["one.folded.1"] * 3 + ["two.folded.1"]
    assert list(dict.fromkeys(measured)) == [phase.name for phase in bench.phases()]
    assert not (bench.recording / "lost").exists()
    assert_nothing_is_left(bench)


def test_what_is_measured_after_a_loss_is_what_it_would_have_been(tmp_path: Path) -> None:
    world = LosingWorld.of("two.base.1")
    bench = ArmBench(tmp_path, world)
    mark_phases(bench, world)
    bench.run()
    windows = {(one.phase, one.node, one.vcpu): one for one in bench.measured().vcpus}
    for phase in bench.phases():
        expected = 50 if phase.template == "two" and phase.arm != "folded" else 0
        for node in ("guest1", "guest2"):
            seen = windows[phase.name, node, 0]
            assert (round(seen.guest_steal_pct or 0), round(seen.host_steal_pct or 0)) == (expected, expected)


def test_a_guest_lost_in_every_run_is_the_end(tmp_path: Path) -> None:
    world = LosingWorld.of("one.flat.2", times=99)
    bench = ArmBench(tmp_path, world)
    mark_phases(bench, world)
    with pytest.raises(GuestLost, match="died"):
        bench.run()
    assert_nothing_is_left(bench)


@pytest.mark.parametrize("fate", ["die", "panic"])
def test_a_guest_lost_while_it_boots_another_kernel_is_booted_again(tmp_path: Path, fate: str) -> None:
    world = MasklessWorld()
    world.fates = nested_world(guest1=["ready", fate]).fates
    bench = ArmBench(tmp_path, world)
    bench.run()
    retries = [event.data["what"] for event in bench.events() if event.kind == "retry"]
    assert retries == ["boot of guest guest1"]
    assert_nothing_is_left(bench)


def test_a_knob_that_the_kernel_of_an_arm_lacks_is_an_error(tmp_path: Path) -> None:
    bench = ArmBench(
        tmp_path, text=ARMS.replace("name: folded\n    kernel: patched", "name: folded\n    kernel: plain")
    )
    with pytest.raises(KnobError, match="avoid_cpus"):
        bench.run()
    assert_nothing_is_left(bench)


SHORT = ARMS.replace("3s", "1s").replace(
    "count: 2, warmup: 1, order: abba, aa: true", "count: 1, warmup: 0, seed: 4"
)
EVERY = 7


def calls_of_a_run(directory: Path) -> int:
    bench = ArmBench(directory, text=SHORT)
    bench.run()
    return len(bench.world.calls)


@pytest.mark.parametrize("error", [KeyboardInterrupt, LabFailure, HostLost])
def test_whatever_fails_at_whichever_call_nothing_is_left(tmp_path: Path, error: type[BaseException]) -> None:
    number = calls_of_a_run(tmp_path / "undisturbed")
    for index in range(number // 3, number * 9 // 10, EVERY):
        bench = ArmBench(tmp_path / str(index), text=SHORT)
        bench.world.fault = Fault(index, error("injected"))
        if error is HostLost:  # the environment: the run is made again, and is whole
            bench.run()
            assert len([one for one in bench.events() if one.kind == "phase"]) == 6, index
        else:
            with pytest.raises(error):
                bench.run()
        assert_nothing_is_left(bench)


HOGGED = """\
version: 1
name: fake
host: {pcpus: 0-1}
kernels: {plain: {source: {debian: "6.12"}}}
nodes: [{name: guest, vcpus: 2, memory: 256MiB, pinning: ["0", "1"]}]
load: [{name: busy, tasks: 2}]
hogs: [{name: thief, pcpus: "0", duty: 100%}]
phases: [{name: one, start: [busy], duration: 3s, settle: 200ms}]
arms: [{name: base}, {name: slowed, start: [thief]}]
repeats: {count: 2, warmup: 0, order: abba}
"""


def test_a_hog_of_one_arm_is_gone_in_the_others(tmp_path: Path) -> None:
    bench = ArmBench(tmp_path, text=HOGGED)
    bench.run()
    hogging, seen = False, {}
    for event in bench.events():
        hogging = event.kind == "hog-start" or (hogging and event.kind != "hog-stop")
        if event.kind == "phase":
            seen[event.data["phase"]] = hogging
    assert seen == {"one.base.1": False, "one.slowed.1": True, "one.slowed.2": True, "one.base.2": False}
    assert [event.kind for event in bench.events() if event.kind.startswith("hog-st")].count("hog-start") == 2
    assert_nothing_is_left(bench)


def test_a_connection_that_times_out_once_is_tried_again_and_the_recording_says_so(tmp_path: Path) -> None:
    bench = ArmBench(tmp_path, text=SHORT)
    connect, refused = bench.host.guest_shell, []

    def guest_shell(address: str, key_file: Path, host_key: str) -> Shell:
        if bench.world.now_ns > 60_000_000_000 and not refused:
            refused.append(address)
            raise GuestLost(f"guest at {address}: ssh connection lost while connecting: timeout")
        return connect(address, key_file, host_key)

    bench.host.guest_shell = guest_shell  # type: ignore[method-assign]
    bench.run()
    assert refused
    (retry,) = [event.data for event in bench.events() if event.kind == "retry"]
    assert retry["what"].startswith("connection to guest guest")
    assert len([event for event in bench.events() if event.kind == "phase"]) == 6
