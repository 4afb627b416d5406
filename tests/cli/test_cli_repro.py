# SPDX-License-Identifier: GPL-2.0-only
"""`lab repro` from end to end on a host in memory: a run is bundled, and run again on that host or another."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli.driving import LAB, ROOT, Done, Driver
from cli.test_cli_run import FakeWiring
from fakes import FakeCommands, RecordedProgress
from fakeworld import HOST_KNOB, HOST_VALUE, MASK, FakeWorld, make_facts

from lab.artifacts.builtonly import BuiltOnly
from lab.artifacts.workshop import Workshop
from lab.cli.scratch import open_scratch
from lab.errors import ExitCode
from lab.recording import Recording
from lab.run.records import LabRecords

QUICKSTART = ROOT / "topologies/quickstart.yaml"


class ReproWiring(FakeWiring):
    """With a cache in which nothing is built."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        super().__init__(directory, state_dir)
        progress = RecordedProgress()
        self.workshop = Workshop(
            BuiltOnly(directory / "cache", progress),
            FakeCommands({"gcc": "gcc 12\n"}),
            progress,
            ROOT / "images",
        )

    def only_built(self) -> SimpleNamespace:
        return SimpleNamespace(workshop=self.workshop)


@pytest.fixture
def wiring(lab: Driver, tmp_path: Path) -> ReproWiring:
    lab.wiring = ReproWiring(tmp_path, lab.state_dir)
    return lab.wiring


Report = Callable[..., Path]


@pytest.fixture
def report(lab: Driver, wiring: ReproWiring, tmp_path: Path) -> Report:
    """Run a topology's text and bundle the recording."""

    def make(text: str | None = None, name: str = "theirs") -> Path:
        topology = tmp_path / f"{name}.yaml"
        topology.write_text(QUICKSTART.read_text() if text is None else text)
        ran = lab("run", topology, "--record", tmp_path / name)
        assert ran.code in (ExitCode.PASSED, ExitCode.FAILED), ran.err
        file = tmp_path / f"{name}.tar.zst"
        bundled = lab("bundle", tmp_path / name, "-o", file)
        assert bundled.code == 0, bundled.err
        return file

    return make


def repro(lab: Driver, file: Path, *options: str | Path, code: int = ExitCode.PASSED) -> Done:
    done = lab("repro", file, *options)
    assert done.code == code, done.out + done.err
    assert not list(lab.state_dir.glob("scratch/*")), "the unpacked bundle was left behind"
    return done


def test_the_same_again_comes_to_the_same_verdicts(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    done = repro(lab, report(), "--record", tmp_path / "mine")
    assert "REPRODUCED: all 18 verdicts are the reporter's (18 passed)" in done.out
    assert "files verified" in done.out
    assert "kernel paravirt: debian 6.12 with" in done.out
    assert "One run on each side is no statistics" in done.out
    assert f"recording: {tmp_path / 'mine'}" in done.out
    assert Recording(tmp_path / "mine").plan().nodes == replace_ids(
        Recording(tmp_path / "theirs").plan(), Recording(tmp_path / "mine").plan().lab_id
    )
    assert lab("check", tmp_path / "mine").code == ExitCode.PASSED
    assert (wiring.world.guests, LabRecords(lab.state_dir).all()) == ({}, ())


def replace_ids(plan, lab_id: str):
    """Nodes as they are called in another lab."""
    from lab.plan.network import domain_name, node_address, node_mac, plan_network

    network = plan_network(lab_id, len(plan.nodes))
    return tuple(
        replace(
            node,
            domain=domain_name(lab_id, node.name),
            address=node_address(network, index),
            mac=node_mac(lab_id, index),
        )
        for index, node in enumerate(plan.nodes)
    )


def test_programs_get_verdicts_figures_and_differences(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    file = report()
    wiring.world = FakeWorld(replace(wiring.world.facts, kernel="6.99", cpu="other"))
    told = json.loads(repro(lab, file, "--record", tmp_path / "mine", "--json").out)
    assert told["reproduced"] == "yes"
    assert told["bundle"]["name"] == "quickstart"
    assert len(told["verdicts"]) == 18
    assert all(one["same"] for one in told["verdicts"])
    steal = next(one for one in told["figures"] if one["what"] == "steal guest1 vcpu 0, guest")
    assert steal["phase"] == "contended"
    assert steal["reporter"] == pytest.approx(50, abs=2)
    assert steal["here"] == [pytest.approx(50, abs=2)]
    assert told["runs"][0]["outcome"] == "passed"
    assert told["runs"][0]["recording"] == str(tmp_path / "mine")
    kernel = next(one for one in told["differences"] if one["what"] == "host kernel")
    assert (kernel["there"], kernel["here"], kernel["differs"]) == ("", "6.99", None)
    assert told["kernels"] == {"paravirt": "the reporter's, built here"}


def test_a_reporters_failure_that_is_reproduced_is_a_failure_here(
    lab: Driver, wiring: ReproWiring, report: Report
) -> None:
    file = report(QUICKSTART.read_text().replace("min: 40%, max: 60%", "min: 90%"))
    done = repro(lab, file, code=ExitCode.FAILED)
    assert "REPRODUCED: all 18 verdicts are the reporter's (4 failed, 14 passed)" in done.out


def test_what_comes_out_otherwise_is_told_by_both_sides(
    lab: Driver, wiring: ReproWiring, report: Report
) -> None:
    file = report()
    wiring.world = FakeWorld(wiring.world.facts)
    wiring.world.lies_pct["guest1"] = 10.0
    done = repro(lab, file, code=ExitCode.FAILED)
    wanted = "NOT REPRODUCED: 3 of 18 verdicts came out otherwise, 3 of 18 are undecided on one side"
    assert wanted in " ".join(done.out.split())
    told = done.out[done.out.index("steal of every vCPU in contended") :]
    assert "  guest1 vcpu 0, contended\n    reporter PASSED    guest 50.0 %" in told
    assert "    here     UNDECIDED guest 60" in told


def test_several_runs_show_their_scatter(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    done = repro(lab, report(), "--repeats", "3", "--record", tmp_path / "mine")
    assert "REPRODUCED: all 18 verdicts are the reporter's in each of 3 runs" in done.out
    assert "next run" in done.out
    assert "The bundle has one run, from which no test can tell a change from chance" in done.out
    assert "inconclusive" not in done.out
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["1", "2", "3"]


def test_a_kernel_that_lacks_the_mask_skips_what_is_expected_of_folding(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    file = report()
    wiring.world = FakeWorld(wiring.world.facts)
    wiring.world.absent_knobs.add(MASK)
    done = repro(lab, file, "--kernel", "6.12", "--json")
    told = json.loads(done.out)
    assert told["kernels"] == {"paravirt": "swapped: Debian's linux-source-6.12, without patches"}
    folded = [one for one in told["verdicts"] if one["phase"] == "folded"]
    assert folded
    for one in folded:
        (here,) = one["here"]
        assert (one["reporter"]["outcome"], here["outcome"]) == ("passed", "skipped")
        assert "avoid_cpus" in here["reason"]
        assert MASK in here["reason"]
    assert told["reproduced"] == "undecided"
    assert told["lacking"]
    text = repro(lab, file, "--kernel", "6.12").out
    assert "The kernel lacks what this scenario drives:" in text
    assert "UNDECIDED: 9 of 18 were skipped on one side" in text
    assert text.count(MASK) == 2, "told once, and two generations have it there"


def test_without_a_swap_a_missing_knob_is_an_error_as_ever(
    lab: Driver, wiring: ReproWiring, report: Report
) -> None:
    file = report()
    wiring.world = FakeWorld(wiring.world.facts)
    wiring.world.absent_knobs.add(MASK)
    done = repro(lab, file, code=ExitCode.LAB_FAILED)
    assert "avoid_cpus" in done.err


# ---- another host


def test_pcpus_are_remapped_where_the_reporters_are_not_here(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    file = report(QUICKSTART.read_text().replace("pcpus: 0-1", "pcpus: 2-3"))
    wiring.world = FakeWorld(replace(wiring.world.facts, pcpus=(0, 1)))
    done = repro(lab, file, "--record", tmp_path / "mine", "--json")
    plan = Recording(tmp_path / "mine").plan()
    assert plan.pcpus == (0, 1)
    assert [vcpu.pcpus for node in plan.nodes for vcpu in node.vcpus] == [(0,), (1,)] * 2
    assert json.loads(done.out)["reproduced"] == "yes"


def test_a_host_that_is_too_small_is_refused_with_every_reason(
    lab: Driver, wiring: ReproWiring, report: Report
) -> None:
    file = report()
    wiring.world = FakeWorld(replace(wiring.world.facts, pcpus=(0,), memory_mib=100))
    done = repro(lab, file, code=ExitCode.HOST_UNFIT)
    assert "it needs 2 pCPUs, and there is 1 pCPU (0)" in done.err
    assert "the guests have 512 MiB together, and the host 100 MiB" in done.err
    assert wiring.world.guests == {}


def test_a_bundle_of_another_kind_of_host_runs_and_says_what_differs(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    wiring.world = FakeWorld(replace(make_facts("local"), kernel="6.1.0", cpu="theirs"))
    file = report()
    wiring.world = FakeWorld(replace(make_facts(), kernel="6.12.0", cpu="mine", emulated=True))
    told = json.loads(repro(lab, file, "--host", "nested", "--record", tmp_path / "mine", "--json").out)
    differing = {one["what"]: (one["there"], one["here"]) for one in told["differences"] if one["differs"]}
    assert differing["kind of host"] == ("local", "nested")
    assert differing["accelerator"] == ("KVM", "KVM of an emulated host")
    assert differing["host kernel"] == ("6.1.0", "6.12.0")
    assert differing["CPU model"] == ("theirs", "mine")
    assert "where: nested" in (tmp_path / "mine/topology.yaml").read_text()
    text = repro(lab, file, "--host", "nested").out
    assert "What differs\n  kind of host: local there, nested here\n" in text


def test_a_machine_whose_kvm_does_not_work_is_refused_as_local_host(
    lab: Driver, wiring: ReproWiring, report: Report
) -> None:
    file = report()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = {"usable": False, "reason": "the probe never spoke", "seconds": 30.0, "fingerprint": boot}
    (lab.state_dir / "kvm-probe.json").write_text(json.dumps(verdict))
    before = len(wiring.opened)
    done = repro(lab, file, "--host", "local", code=ExitCode.HOST_UNFIT)
    assert "accelerator: " in done.err
    assert "the probe never spoke" in done.err or "/dev/kvm" in done.err
    assert len(wiring.opened) == before
    assert repro(lab, file, "--host", "local", "--dry-run", code=ExitCode.HOST_UNFIT).out


# ---- consent

HOG = """\
hogs: [{name: noise, pcpus: "0"}]
load:
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("load:\n", HOG), "runs noise on the host: 1 busy thread on pCPU 0"),
        (
            ("load:\n", "knobs: [{knob: kvm.halt_poll, value: 0ns}]\nload:\n"),
            f"sets kvm.halt_poll of the host: writes '0' to {HOST_KNOB.partition(':')[2]}",
        ),
    ],
    ids=["load", "knob"],
)
def test_what_is_done_to_the_host_needs_consent(
    lab: Driver, wiring: ReproWiring, report: Report, change: tuple[str, str], told: str
) -> None:
    file = report(QUICKSTART.read_text().replace(*change, 1))
    before = len(wiring.opened)
    done = repro(lab, file, code=ExitCode.BAD_INPUT)
    assert told in done.err
    assert "--allow-host" in done.err
    assert len(wiring.opened) == before, "nothing may happen before"
    repro(lab, file, "--allow-host")
    assert wiring.world.host_knobs[HOST_KNOB] == HOST_VALUE


def test_at_a_terminal_somebody_is_asked(report: Report, lab: Driver) -> None:
    file = report(QUICKSTART.read_text().replace("load:\n", HOG, 1))
    ours, theirs = pty.openpty()
    with subprocess.Popen([LAB, "repro", file], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, b"n\n")
        said = b""
        with suppress(OSError):  # the end of a terminal
            while part := os.read(ours, 4096):
                said += part
        code = process.wait(60)
    os.close(ours)
    assert (code, b"Go on? [y/N]" in said) == (ExitCode.BAD_INPUT, True), said.decode()
    assert b"nobody agreed to" in said


def test_foreign_patches_are_not_built_without_consent(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    (tmp_path / "own.patch").write_text("--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-a\n+b\n")
    file = report(QUICKSTART.read_text().replace("patches: [paravirt-cpus]", "patches: [./own.patch]"))
    done = repro(lab, file, code=ExitCode.BAD_INPUT)
    assert "1 of its 1 patches are not the lab's own (own.patch)" in done.err
    assert "the bundle has no image of it" in done.err
    told = json.loads(repro(lab, file, "--allow-host", "--json").out)
    assert told["kernels"]["paravirt"].startswith("the reporter's, built here (1 of its 1 patches")


# ---- without running


def test_a_dry_run_tells_everything_and_starts_nothing(
    lab: Driver, wiring: ReproWiring, report: Report
) -> None:
    file = report()
    before = len(wiring.opened)
    text = repro(lab, file, "--dry-run").out
    assert "Needs, against host nested" in text
    assert "kernel paravirt: debian 6.12" in text
    told = json.loads(repro(lab, file, "--dry-run", "--json").out)
    assert told["fits"] is True
    assert {one["name"]: one["built"] for one in told["builds"]}["paravirt"] is False
    assert len(wiring.opened) == before


def test_shell_leaves_the_lab_up(lab: Driver, wiring: ReproWiring, report: Report) -> None:
    done = repro(lab, report(), "--shell")
    assert "is up on nested" in done.out
    assert "lab ssh guest1" in done.out
    assert "lab down quickstart" in done.out
    assert len(wiring.world.guests) == 2
    assert lab("down").code == ExitCode.PASSED
    assert wiring.world.guests == {}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--repeats", "0"), "--repeats 0: must be between 1 and 100"),
        (("--shell", "--json"), "--shell runs and records nothing"),
        (
            ("--kernel", "nothing-like-it"),
            "there is no such file or directory, and it is none of the kernels",
        ),
        (("--patches", "/nowhere"), "--patches /nowhere: there is no such file or directory"),
        (("--host", "somewhere"), "expected auto, local, nested or ssh://user@host"),
    ],
)
def test_bad_options_are_refused_before_anything_happens(
    lab: Driver, wiring: ReproWiring, report: Report, options: tuple[str, ...], told: str
) -> None:
    file = report()
    before = len(wiring.opened)
    assert told in repro(lab, file, *options, code=ExitCode.BAD_INPUT).err
    assert len(wiring.opened) == before


def test_what_is_no_bundle_is_refused(lab: Driver, tmp_path: Path) -> None:
    (tmp_path / "x.tar.zst").write_bytes(b"nothing")
    done = repro(lab, tmp_path / "x.tar.zst", code=ExitCode.BAD_INPUT)
    assert "x.tar.zst" in done.err
    assert "Traceback" not in done.err
    missing = repro(lab, tmp_path / "y.tar.zst", code=ExitCode.BAD_INPUT)
    assert "cannot be read" in missing.err


# ---- kernels of other kinds


def test_a_ready_image_travels_in_the_bundle(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    (tmp_path / "vmlinux").write_bytes(b"\x7fELF" + bytes(100))
    text = QUICKSTART.read_text().replace('source: {debian: "6.12"}', "source: {image: ./vmlinux}")
    file = report(text.replace("    patches: [paravirt-cpus]\n", ""))
    (tmp_path / "vmlinux").unlink()
    told = json.loads(repro(lab, file, "--json").out)
    assert told["kernels"] == {"paravirt": "the ready image that the reporter used"}
    assert told["reproduced"] == "yes"


def test_a_source_that_is_not_here_is_told_and_can_be_replaced(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/Kconfig").write_text("")
    file = report(QUICKSTART.read_text().replace('source: {debian: "6.12"}', "source: {tree: ./linux}"))
    done = repro(lab, file, code=ExitCode.BAD_INPUT)
    assert (
        "kernel paravirt of the bundle: its source is not here, and the bundle has no image of it" in done.err
    )
    assert "--kernel paravirt=PATH puts another in its place" in done.err
    told = json.loads(repro(lab, file, "--kernel", tmp_path / "linux", "--json").out)
    assert told["kernels"]["paravirt"] == f"swapped: the source tree {tmp_path / 'linux'}"
    assert told["reproduced"] == "yes"


ARMS = """\
version: 1
name: two-arms
host: {where: nested, pcpus: 0-1}
kernels:
  one: {source: {debian: "6.12"}}
  two: {source: {debian: "6.1"}}
nodes: [{name: guest, count: 2, vcpus: 2, kernel: one}]
load: [{name: busy, tasks: 2}]
phases: [{name: contended, start: [busy], duration: 6s, settle: 200ms}]
arms: [{name: base}, {name: other, kernel: two}]
repeats: {count: 3, seed: 7, warmup: 0}
expect: [{steal: {phase: contended, min: 40%, max: 60%}}]
"""


def test_arms_are_compared_arm_by_arm_and_run_in_the_same_order(
    lab: Driver, wiring: ReproWiring, report: Report, tmp_path: Path
) -> None:
    file = report(ARMS)
    done = repro(lab, file, "--record", tmp_path / "mine")
    assert "REPRODUCED: all " in done.out
    assert "Phase contended.base" in done.out
    assert "same" in done.out
    mine, theirs = (Recording(tmp_path / name).plan() for name in ("mine", "theirs"))
    assert [one.name for one in mine.phases] == [one.name for one in theirs.phases]
    ambiguous = repro(lab, file, "--kernel", "6.12", code=ExitCode.BAD_INPUT)
    assert "the scenario boots 2 kernels (one, two); say which is swapped" in ambiguous.err
    told = json.loads(repro(lab, file, "--kernel", "two=one", "--dry-run", "--json").out)
    assert told["kernels"]["two"] == "swapped: the scenario's own kernel one"


def test_what_a_killed_command_left_is_removed_by_gc_and_nothing_else(lab: Driver) -> None:
    with open_scratch(lab.state_dir) as living:
        left = lab.state_dir / "scratch/left"
        left.mkdir()
        (left / "file").write_text("")
        assert lab("gc").out == f"removed {left}\n"
        assert living.is_dir()
    assert not living.exists()
    assert lab("gc").out == "nothing was left behind\n"
