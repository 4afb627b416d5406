# SPDX-License-Identifier: GPL-2.0-only
"""What snapshots of a host prove: by hand-made snapshots in which exactly one thing is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import FakeEvent, S, World, plan_for

from lab.measure.bindings import parse_cpu_max
from lab.measure.probestream import Hello, ProbeStream
from lab.measure.proof import Prover, WindowProof
from lab.measure.snapshots import COMMANDS, KERNEL, LAB, NOBODY, HostSnapshot, HostTask
from lab.measure.streamwords import CpuTimes
from lab.plan.labplan import HogPlan, LabPlan

LENGTH_S = 10
START_NS, END_NS = 10 * S, (10 + LENGTH_S) * S
PLAN = plan_for(World())
GROUP = "/machine/qemu-1-d.libvirt-qemu"
SYSTEMD = r"/machine.slice/machine-qemu\x2d1\x2dd.scope/libvirt"
HELLO = Hello("host", 100, 0, {"tasks": "1", "user_hz": "100"})


@dataclass(frozen=True)
class Ran:
    """A task that has run `share` of the time since the first snapshot, on the pCPUs that it was seen on."""

    name: str
    share: float
    pcpus: Sequence[int]
    pid: int = 900
    tid: int = 0
    owner: str = NOBODY
    affinity: Sequence[int] = (0, 1)
    born: int = 0
    children: float = 0.0

    def at(self, number: int, t_ns: int) -> HostTask:
        pcpu = self.pcpus[min(number, len(self.pcpus) - 1)]
        run_ns = int(self.share * (t_ns - START_NS)) + (0 if self.born else 5 * S)
        affinity = tuple(self.affinity)
        return HostTask(
            self.tid or self.pid,
            self.pid,
            self.owner,
            pcpu,
            77,
            run_ns,
            S + int(self.children * (t_ns - START_NS)),
            affinity,
            self.name,
        )


def guests_threads() -> list[Ran]:
    """Two vCPUs, one each on both pCPUs, and the emulator's own thread on the pCPU for housekeeping."""
    vcpus = [
        Ran(f"CPU {vcpu}/KVM", 0.5, [vcpu], 500, 501 + vcpu, "guest1", [vcpu])
        for vcpu in range(World().vcpus)
    ]
    return [*vcpus, Ran("qemu-system-x86", 0.001, [0], 500, 500, "guest1", [0])]


def groups_of(group: str, **files: str) -> tuple[dict[int, str], dict[str, str]]:
    """As libvirt makes them; `files` replaces the content of FILE_OF_GROUP ("max_vcpu0", "weight_domain")."""
    domain = group.removesuffix("/libvirt")
    groups = {500: f"{group}/emulator", 501: f"{group}/vcpu0", 502: f"{group}/vcpu1"}
    content = {"max_domain": (domain, "max 100000"), "weight_domain": (domain, "100")}
    for name in ("emulator", "vcpu0", "vcpu1"):
        content[f"max_{name}"] = (f"{group}/{name}", "max 100000")
        content[f"weight_{name}"] = (f"{group}/{name}", "100")
    values = {name: (path, files.get(name, value)) for name, (path, value) in content.items()}
    return groups, {
        f"/sys/fs/cgroup{path}/cpu.{name.split('_')[0]}": value for name, (path, value) in values.items()
    }


def times(pcpu: int, busy_s: float, t_ns: int) -> CpuTimes:
    return CpuTimes(pcpu, 0, 0, 0, round((t_ns / S - busy_s) * 100), 0, 0, 0, 0, 0, 0)


def snapshot(
    number: int,
    t_ns: int,
    tasks: Sequence[Ran],
    busy: Mapping[int, float],
    *,
    groups: tuple[dict[int, str], dict[str, str]] = ({}, {}),
    counted: bool = True,
) -> HostSnapshot:
    """`busy` is what each pCPU worked, as a share of the time since the first."""
    worked_ns = {pcpu: int(share * (t_ns - START_NS)) for pcpu, share in busy.items()}
    return HostSnapshot(
        "edge",
        t_ns,
        t_ns + 1000,
        400,
        tuple(times(pcpu, ns / S, t_ns) for pcpu, ns in worked_ns.items()),
        worked_ns if counted else {},
        tuple(task.at(number, t_ns) for task in tasks if number >= task.born),
        *groups,
    )


def prove(
    *more: Ran,
    busy: Mapping[int, float] | None = None,
    groups: Sequence[tuple[dict[int, str], dict[str, str]]] = (({}, {}),) * 2,
    events: Sequence[FakeEvent] = (),
    plan: LabPlan = PLAN,
    own: Sequence[Ran] | None = None,
    counted: bool = True,
) -> WindowProof:
    """What snapshots at both edges prove; `busy` is what the pCPUs worked, by default what the tasks did."""
    tasks = [*(guests_threads() if own is None else own), *more]
    worked = busy or {
        pcpu: sum(task.share / len(set(task.pcpus)) for task in tasks if pcpu in task.pcpus)
        for pcpu in (0, 1)
    }
    snapshots = [
        snapshot(number, t_ns, tasks, worked, groups=groups[number], counted=counted)
        for number, t_ns in enumerate((START_NS - 2000, END_NS))
    ]
    stream = ProbeStream(HELLO, snapshots=tuple(snapshots))
    proof = Prover(plan, events, stream).prove(START_NS, END_NS)
    assert proof is not None
    return proof


# ---- what else ran


def test_a_quiet_host_is_proven_quiet() -> None:
    proof = prove(Ran("kworker/0:1", 0.004, [0], owner=KERNEL), groups=[groups_of(GROUP)] * 2)
    assert proof.doubts == ()
    assert proof.foreign_pct == pytest.approx({0: 0.4, 1: 0.0}, abs=0.15)
    assert proof.snapshot_ns == (400, 400)
    assert proof.clocks == {"governor": "not visible", "SMT": "not visible", "turbo": "not visible"}


def test_a_foreign_task_is_named_with_its_share() -> None:
    proof = prove(Ran("burn", 0.489, [1]))
    assert proof.doubts == ("foreign task burn (900) ran 48.9 % of pCPU 1",)
    assert proof.foreign_pct[1] == pytest.approx(48.9, abs=0.2)


def test_a_foreign_task_that_moves_is_named_with_where_it_was_seen() -> None:
    (doubt,) = prove(Ran("burn", 0.2, [0, 1])).doubts
    assert doubt == "foreign task burn (900) ran 20.0 % of one pCPU, seen on pCPUs 0-1"


def test_threads_of_a_process_count_together_under_its_name() -> None:
    threads = [Ran(f"worker{n}", 0.015, [1], 900, 901 + n) for n in range(4)]
    (doubt,) = prove(Ran("make", 0.0, [1]), *threads).doubts
    assert doubt == "foreign task make (900) ran 6.0 % of pCPU 1"


def test_many_small_ones_are_summed() -> None:
    many = [Ran(f"small{n}", 0.01 + n / 10_000, [0], 900 + n) for n in range(5)]
    (doubt,) = prove(*many).doubts
    assert doubt == "5 foreign tasks ran 5.1 % of pCPU 0 together, most of it small4 (904) with 1.0 %"


def test_what_never_was_on_a_leased_pcpu_is_nobodys_business() -> None:
    assert prove(Ran("elsewhere", 0.9, [3])).doubts == ()


@pytest.mark.parametrize(
    "task",
    [
        Ran("pvprobe", 0.05, [0], owner=LAB),
        Ran("pvspin", 0.4, [0], owner=f"{LAB}:hog-noise"),
        Ran("vhost-500", 0.1, [0], owner=KERNEL),
        Ran("kvm-pit/500", 0.1, [0], owner=KERNEL),
        Ran("kvm-nx-lpage-re", 0.1, [0], owner=KERNEL),
        Ran("IO iothread1", 0.1, [0], 500, 505, "guest1", [0]),
    ],
    ids=lambda one: one.name,
)
def test_what_serves_the_labs_guests_is_its_own(task: Ran) -> None:
    assert prove(task).doubts == ()


@pytest.mark.parametrize(
    "task",
    [
        Ran("vhost-77", 0.1, [0], owner=KERNEL),
        Ran("ksoftirqd/0", 0.1, [0], owner=KERNEL),
        Ran("vhost-500", 0.1, [0]),
        Ran("qemu-system-x86", 0.1, [0], 800),
    ],
    ids=lambda one: f"{one.name} of {one.owner}",
)
def test_what_serves_others_is_foreign(task: Ran) -> None:
    (doubt,) = prove(task).doubts
    assert doubt == f"foreign task {task.name} ({task.pid}) ran 10.0 % of pCPU 0"


def test_a_task_that_began_in_the_window_is_named() -> None:
    (doubt,) = prove(Ran("burn", 0.3, [1], born=1)).doubts
    assert doubt == "foreign task burn (900) ran 30.0 % of pCPU 1"


def test_what_no_task_explains_is_told() -> None:
    (doubt,) = prove(busy={0: 0.9, 1: 0.5}).doubts
    assert doubt == "tasks that ended unseen ran 39.9 % of pCPU 0"


def test_whose_children_they_may_be_is_told() -> None:
    parents = [
        Ran("make", 0.01, [0, 1], 900, children=0.38),
        Ran("sh", 0.001, [0, 1], 901, children=0.1),
        Ran("pvspin", 0.001, [0], 902, owner=f"{LAB}:hog-noise", children=0.9),
    ]
    (doubt,) = prove(*parents, busy={0: 0.9, 1: 0.51}).doubts
    assert doubt.startswith("tasks that ended unseen ran 39.")
    assert doubt.endswith("% of pCPU 0, most of them perhaps children of make (900)")


def test_commands_of_the_lab_are_known_by_who_waited_for_them() -> None:
    commands = Ran("sshd-session", 0.01, [0], owner=f"{LAB}:{COMMANDS}", children=0.06)
    proof = prove(commands, busy={0: 0.57, 1: 0.5})
    assert proof.doubts == ()
    assert proof.helpers_pct == pytest.approx(7.0, abs=0.1)
    (doubt,) = prove(commands, busy={0: 0.77, 1: 0.5}).doubts
    assert doubt.startswith("tasks that ended unseen ran 19.") and doubt.endswith("of pCPU 0")


def test_helpers_that_cost_too_much_are_a_doubt() -> None:
    commands = Ran("sshd-session", 0.03, [0], owner=f"{LAB}:{COMMANDS}", children=0.06)
    probe = Ran("pvprobe", 0.03, [1], 901, owner=LAB)
    proof = prove(commands, probe, busy={0: 0.59, 1: 0.53})
    assert proof.doubts == ("the lab's own probe and commands ran 12.0 % of a pCPU (bound 10 %)",)


def test_it_is_told_without_schedstat_too() -> None:
    (doubt,) = prove(busy={0: 0.9, 1: 0.5}, counted=False).doubts
    assert doubt == "tasks that ended unseen ran 39.9 % of pCPU 0"


def test_a_task_put_down_to_the_wrong_pcpu_is_not_missing_on_the_other() -> None:
    moving = Ran("CPU 0/KVM", 0.8, [0], 500, 501, "guest1", [0])
    proof = prove(own=[moving], busy={0: 0.4, 1: 0.4})
    assert not [doubt for doubt in proof.doubts if "unseen" in doubt]


@given(st.floats(0, 0.45), st.sampled_from([0, 1]))
def test_a_window_is_doubted_exactly_above_the_bound(share: float, pcpu: int) -> None:
    proof = prove(Ran("burn", share, [pcpu]))
    if share > 0.0201:
        assert [doubt.split(" ran ")[0] for doubt in proof.doubts] == ["foreign task burn (900)"]
    if share < 0.0199:
        assert proof.doubts == ()


def test_a_missing_snapshot_proves_nothing() -> None:
    only = snapshot(0, START_NS - 2000, guests_threads(), {0: 0.5, 1: 0.5})
    for kept, edge in (((only,), "end"), ((replace(only, t0_ns=END_NS, t1_ns=END_NS),), "start")):
        proof = Prover(PLAN, (), ProbeStream(HELLO, snapshots=kept)).prove(START_NS, END_NS)
        assert proof is not None
        assert proof.doubts == (
            f"nothing proves what else ran: no snapshot of the host at the {edge} of the window",
        )


def test_an_old_probe_is_not_asked_for_what_it_could_not_do() -> None:
    old = ProbeStream(replace(HELLO, keys={}))
    assert Prover(PLAN, (), old).prove(START_NS, END_NS) is None


# ---- how the lab's threads are bound


def other_plan(**changes: object) -> LabPlan:
    (node,) = PLAN.nodes
    return replace(PLAN, nodes=(replace(node, **changes),))  # type: ignore[arg-type]


def test_affinities_are_compared() -> None:
    own = [replace(task, affinity=(0,)) for task in guests_threads()]
    assert prove(own=own).doubts == (
        "vCPU 1 of guest1 may run on pCPU 0, planned 1 (at the start of the window)",
    )
    own = [replace(task, affinity=(0, 1)) for task in guests_threads()[2:]]
    assert prove(own=own).doubts == (
        "emulator thread qemu-system-x86 of guest1 may run on pCPU 0-1, planned 0 (at the start of the window)",
    )


def test_a_thread_that_kvm_makes_for_a_guest_is_bound_by_nobody() -> None:
    first = guests_threads()[0]
    own = [*guests_threads(), replace(first, name="kvm-nx-lpage-re", tid=first.pid + 9, affinity=(1,))]
    assert prove(own=own).doubts == ()


def test_threads_of_hogs_are_where_they_belong() -> None:
    plan = replace(PLAN, hogs=(HogPlan("noise", (1, 0), 50.0, 100_000_000, 100),))
    owner = f"{LAB}:hog-noise"
    threads = [
        Ran("pvspin", 0.0, [0], 700, owner=owner),
        Ran("noise/0", 0.1, [1], 700, 701, owner, [1]),
        Ran("noise/1", 0.1, [0], 700, 702, owner, [0]),
    ]
    assert prove(*threads, plan=plan).doubts == ()
    moved = replace(threads[1], affinity=[0])
    assert prove(threads[0], moved, threads[2], plan=plan).doubts == (
        "thread 0 of hog noise may run on pCPU 0, planned 1 (at the start of the window)",
    )


@pytest.mark.parametrize("group", [GROUP, SYSTEMD])
@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"weight_domain": "50"}, "the weight of guest guest1 is 50, planned 100"),
        ({"weight_vcpu1": "1"}, "the weight of vCPU 1 of guest1 is 1, planned 100"),
        ({"max_vcpu0": "25000 50000"}, "the quota of vCPU 0 of guest1 is 50 % of a pCPU, planned none"),
        (
            {"max_emulator": "1000 100000"},
            "the quota of emulator threads of guest1 is 1 % of a pCPU, planned none",
        ),
    ],
)
def test_weights_and_quotas_are_compared(group: str, files: dict[str, str], problem: str) -> None:
    good, bad = groups_of(group), groups_of(group, **files)
    assert prove(groups=[good, bad]).doubts == (f"{problem} (at the end of the window)",)
    assert prove(groups=[bad, bad]).doubts == (f"{problem} (at the start of the window)",)


def test_a_limit_above_the_guest_is_found() -> None:
    groups = groups_of(GROUP, max_domain="10000 100000")
    (doubt,) = prove(groups=[groups] * 2).doubts
    assert doubt == (
        f"the quota of control group {GROUP} is 10 % of a pCPU, planned none (at the start of the window)"
    )


def test_planned_weights_and_quotas_are_no_doubt() -> None:
    groups = groups_of(GROUP, weight_domain="300", max_vcpu0="33333 100000", max_vcpu1="33333 100000")
    assert prove(groups=[groups] * 2, plan=other_plan(weight=300, quota_pct=33.333)).doubts == ()
    assert len(prove(groups=[groups] * 2).doubts) == 3


def knob(path: str, raw: str, t_ns: int = START_NS - S) -> FakeEvent:
    return FakeEvent(t_ns, "knob", {"node": "@host", "path": path, "raw_new": raw, "knob": "vcpu.quota"})


def test_what_the_lab_itself_wrote_is_what_is_expected() -> None:
    path = f"/sys/fs/cgroup{GROUP}/vcpu0/cpu.max"
    written, restored = groups_of(GROUP, max_vcpu0="1000 100000"), groups_of(GROUP)
    events = [knob(path, "1000 100000")]
    assert prove(groups=[written] * 2, events=events).doubts == ()
    (doubt,) = prove(groups=[restored] * 2, events=events).doubts
    assert doubt.startswith("the quota of vCPU 0 of guest1 is none, planned 1 % of a pCPU")
    back = FakeEvent(START_NS - 5000, "knob-restored", {"node": "@host", "path": path, "new": "max 100000"})
    assert prove(groups=[restored] * 2, events=[*events, back]).doubts == ()
    later = [knob(path, "1000 100000", START_NS + S)]
    assert prove(groups=[restored, written], events=later).doubts == (), "written within the window"


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        ({"what": "pins", "vcpu": 1, "new": "0"}, {"affinity": (0,)}),
        ({"what": "emulator_pins", "new": "1"}, {"emulator": (1,)}),
        ({"what": "weight", "new": 200}, {"weight_domain": "200"}),
        ({"what": "quota_pct", "new": 40}, {"max_vcpu0": "40000 100000", "max_vcpu1": "40000 100000"}),
    ],
    ids=lambda one: str(one.get("what", "")),
)
def test_changes_of_the_contention_are_followed(data: dict[str, object], changed: dict[str, object]) -> None:
    affinity, emulator = changed.pop("affinity", None), changed.pop("emulator", None)
    own = [
        replace(task, affinity=affinity)
        if affinity and task.name == "CPU 1/KVM"
        else replace(task, affinity=emulator)
        if emulator and task.name.startswith("qemu")
        else task
        for task in guests_threads()
    ]
    groups = [groups_of(GROUP, **changed)] * 2  # type: ignore[arg-type]
    event = FakeEvent(START_NS - S, "contention", {"node": "guest1", **data})
    assert prove(own=own, groups=groups, events=[event]).doubts == ()
    assert prove(own=own, groups=groups).doubts, "it would not have been planned"
    late = replace(event, t_ns=END_NS + S)
    assert prove(own=own, groups=groups, events=[late]).doubts, "it is not there yet"


@pytest.mark.parametrize(
    ("text", "pct"), [("max 100000", None), ("50000 100000", 50.0), ("1000 500", 200.0), ("7000", 7.0)]
)
def test_cpu_max(text: str, pct: float | None) -> None:
    assert parse_cpu_max(text) == pct


# ---- clocks


def test_a_governor_that_changes_is_a_doubt() -> None:
    path = "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor"
    before, after = ({}, {path: "performance"}), ({}, {path: "powersave"})
    proof = prove(groups=[before, after])
    assert proof.doubts == (
        "cpufreq/scaling_governor of pCPU 1 changed from performance to powersave in the window",
    )
    assert proof.clocks["governor"] == "powersave"


@pytest.mark.parametrize(
    ("files", "turbo"),
    [
        ({"cpufreq/boost": "1"}, "on"),
        ({"intel_pstate/no_turbo": "1"}, "off"),
        ({"intel_pstate/no_turbo": "0"}, "on"),
        ({}, "not visible"),
    ],
)
def test_clock_facts_in_words(files: dict[str, str], turbo: str) -> None:
    visible = {f"/sys/devices/system/cpu/{name}": value for name, value in files.items()}
    visible["/sys/devices/system/cpu/smt/control"] = "notsupported"
    proof = prove(groups=[({}, visible)] * 2)
    assert proof.doubts == ()
    assert proof.clocks == {"governor": "not visible", "SMT": "notsupported", "turbo": turbo}
