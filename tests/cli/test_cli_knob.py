# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob` on a lab that is up: of nodes, of their vCPUs on the host, of the host itself."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from cli.driving import Driver
from cli.test_cli_running import KNOB_FILE, PLAN, UpLab

from lab.cli.knob_watch import ClockOffset, measure_offset, render_times
from lab.errors import ExitCode
from lab.run.knobjournal import KnobJournal

HALT_POLL = "module_parameter:kvm/halt_poll_ns"


def quota_of(node: str, vcpu: int) -> str:
    return f"cgroup:{PLAN.node(node).domain}/vcpu{vcpu}/cpu.max"


@pytest.fixture
def up(lab: Driver) -> UpLab:
    up = UpLab(lab)
    up.shells["one"].kernel.values = {KNOB_FILE: "", "cpu_online:": "0"}
    up.host.shell.kernel.values = {HALT_POLL: "200000"}
    for node in PLAN.nodes:
        for vcpu in node.vcpus:
            up.host.shell.kernel.values[quota_of(node.name, vcpu.vcpu)] = "max 100000"
    return up


def test_a_knob_of_the_host(lab: Driver, up: UpLab) -> None:
    assert lab("knob", "get", "--host", "kvm.halt_poll").out == "200000\n"
    assert (
        lab("knob", "set", "--host", "kvm.halt_poll", "1ms").out == "host kvm.halt_poll: 200000 -> 1000000\n"
    )
    assert up.host.shell.kernel.values[HALT_POLL] == "1000000"
    assert lab("knob", "list", "--host").out.splitlines()[-1].split() == ["kvm.halt_poll", "1000000"]


def test_a_knob_of_a_vcpu_is_on_the_host(lab: Driver, up: UpLab) -> None:
    vcpus = [one.vcpu for one in PLAN.node("two").vcpus]
    assert lab("knob", "set", "two", "vcpu.quota", "50%").out.splitlines() == [
        f"two vcpu.quota vcpu {vcpu}: 100 -> 50" for vcpu in vcpus
    ]
    assert up.host.shell.kernel.values[quota_of("two", 0)] == "50000 100000"
    assert lab("knob", "get", "two", "vcpu.quota").out == "50\n"
    assert json.loads(lab("knob", "get", "two", "vcpu.quota", "--json").out) == {
        "node": "two",
        "knob": "vcpu.quota",
        "values": {f"vcpu {vcpu}": "50" for vcpu in vcpus},
    }
    up.host.shell.kernel.values[quota_of("two", 0)] = "70000 100000"
    if len(vcpus) > 1:
        assert lab("knob", "get", "two", "vcpu.quota").out.splitlines()[0] == "vcpu 0: 70"


def test_restore_puts_back_what_was_written_and_tells_it(lab: Driver, up: UpLab) -> None:
    assert lab("knob", "restore").out == "every knob is as the lab found it\n"
    lab("knob", "set", "one", KNOB_FILE, "3")
    lab("knob", "set", "--host", "kvm.halt_poll", "0")
    lab("knob", "set", "two", "vcpu.quota", "50")
    assert lab("knob", "restore", "one").out == f"one {KNOB_FILE}: 3 -> empty\n"
    put_back = lab("knob", "restore").out.splitlines()
    assert set(put_back[:-1]) == {"host vcpu.quota: 50000 100000 -> max 100000"}
    assert put_back[-1] == "host kvm.halt_poll: 0 -> 200000"
    assert not KnobJournal(up.directory).open_entries()


def test_down_puts_the_hosts_knobs_back(lab: Driver, up: UpLab) -> None:
    lab("knob", "set", "--host", "kvm.halt_poll", "0")
    assert lab("down").code == ExitCode.PASSED
    assert up.host.shell.kernel.values[HALT_POLL] == "200000"


def test_gc_puts_back_what_a_dead_writer_left_in_a_lab_that_lives(lab: Driver, up: UpLab) -> None:
    lab("knob", "set", "one", KNOB_FILE, "3")
    lab("knob", "set", "--host", "kvm.halt_poll", "0")
    journal = KnobJournal(up.directory)
    assert lab("gc").out == "nothing was left behind\n"
    with journal.locked() as opened:
        opened.note(journal.open_entries("one"), "begun")
    assert lab("gc", "--dry-run").out == "would put back knobs of pair (cafe01)\n"
    assert lab("gc").out == f"put back {KNOB_FILE} of one in pair (cafe01)\n"
    assert up.shells["one"].kernel.values[KNOB_FILE] == ""
    assert up.host.shell.kernel.values[HALT_POLL] == "0", "that was written to its end, and stays"
    assert up.records.all() == (up.record,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("get", "one"), "lab knob get: expected NODE KNOB"),
        (("get", "--host"), "Missing argument"),
        (("get", "--host", "one", "kvm.halt_poll"), "lab knob get --host: expected KNOB"),
        (("set", "one", "avoid_cpus"), "lab knob set: expected NODE KNOB VALUE"),
        (("set", "--host", "avoid_cpus", "1"), "knob avoid_cpus is a guest's, not the host's"),
        (("set", "one", "kvm.halt_poll", "1"), "knob kvm.halt_poll is the host's, not of one"),
        (("probe",), "lab knob probe: expected NODE"),
        (("watch", "one"), "lab knob watch: expected NODE KNOB..."),
        (("restore", "on"), "did you mean one?"),
    ],
)
def test_what_cannot_be_meant_is_bad_input(lab: Driver, up: UpLab, words: tuple[str, ...], said: str) -> None:
    done = lab("knob", *words)
    assert done.code == ExitCode.BAD_INPUT
    assert said in done.err


def test_probe_tells_generation_places_and_what_was_looked_for(lab: Driver, up: UpLab) -> None:
    out = lab("knob", "probe", "one").out
    assert (
        out.splitlines()[0]
        == "one: no known interface as a whole; parts of reference (1 of 11), paravirt-cpus-v1 (1 of 4)"
    )
    assert f"  avoid_cpus             {KNOB_FILE}  [reference]" in out
    there, absent = out.split("not in this kernel:")
    assert "steal.enable" in absent and "steal.enable" not in there
    assert "[steal-governor-v8]: No such file or directory (ENOENT)" in absent


def test_probe_for_programs(lab: Driver, up: UpLab) -> None:
    place = "debugfs:sched/paravirt_governor/"
    names = ("enable", "high_threshold", "low_threshold", "interval_ms", "policy", "ratio", "checks")
    names += ("steps_down", "steps_up", "last_decision")
    up.shells["one"].kernel.values.update({place + name: "1" for name in names})
    found = json.loads(lab("knob", "probe", "one", "--json").out)
    assert found["generation"] == "reference"
    assert found["generations"][0] == {
        "name": "reference",
        "title": "the project's own series (paravirt-cpus), Linux 6.12",
        "found": 11,
        "total": 11,
    }
    knobs = {one["knob"]: one for one in found["knobs"]}
    assert knobs["avoid_cpus"]["place"] == KNOB_FILE
    assert knobs["isolated_cpus"]["state"] == "absent"
    assert knobs["isolated_cpus"]["looked_for"][0]["why"]
    host = json.loads(lab("knob", "probe", "--host", "--json").out)
    assert [one["knob"] for one in host["knobs"] if one["state"] != "absent"] == ["kvm.halt_poll"]


def test_a_clock_is_read_between_two_readings_of_the_hosts() -> None:
    times = iter([(1000, 50, 1900), (3000, 90, 3100), (5000, 60, 5500), (7000, 70, 7900), (9000, 80, 9900)])
    answers: list[int] = []

    def ask(_words: list[str]) -> SimpleNamespace:
        if not answers:
            answers.extend(next(times))
        return SimpleNamespace(lines=[{"t_ns": str(answers.pop(0))}])

    guest, host = SimpleNamespace(name="one", ask=ask), SimpleNamespace(name="@host", ask=ask)
    offset = measure_offset(guest, host)  # type: ignore[arg-type]
    assert offset == ClockOffset(2960, 50)
    assert measure_offset(host, host) == ClockOffset(0, 0)  # type: ignore[arg-type]
    assert render_times(2_000_000_000, ClockOffset(500_000_000, 1_500_000)) == (
        "host 2.500 s (+-1.5 ms)  own 2.000 s"
    )
