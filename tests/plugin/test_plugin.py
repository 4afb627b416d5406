# SPDX-License-Identifier: GPL-2.0-only
"""The plugin as its users see it: tests as text, reports as pytest prints them."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

MEASURE = "    lab.load('busy').start()\n    phase = lab.measure('contended', seconds=10)\n"
LOSE = "    opener.lose('guest1')\n    lab.measure('contended', seconds=10)\n"


def recordings() -> list[Path]:
    return sorted(Path("lab-recordings").glob("*"))


def opened() -> int:
    return int(Path("opened.txt").read_text())


def test_folding_removes_steal_as_a_user_writes_it(run):
    result = run("""
def test_folding_removes_steal(lab):
    lab.load("busy").start()
    before = lab.measure("contended", seconds=20)
    lab.knob("guest1", "avoid_cpus").set("1")
    lab.knob("guest2", "avoid_cpus").set("0")
    after = lab.measure("folded", seconds=20)
    assert 40 < before.steal("guest1", 0) < 60
    assert all(steal < 5 for steal in after.steals)
    assert after.throughput("busy") >= 0.95 * before.throughput("busy")
    assert after.affinities("busy")["guest1", 0] == ("0-1",)
    assert before.preemptions("guest1", 0).kvm_preemption_reported > 10
    assert lab.knob("guest1", "avoid_cpus").get() == "1"
    assert lab.nodes == ("guest1", "guest2")
    assert lab.exec("guest1", "echo hello").stdout == "hello\\n"
    lab.put("guest1", lab.recording / "topology.yaml", "/topology")
    assert lab.exec("guest1", "cat /topology").stdout == (lab.recording / "topology.yaml").read_text()
    assert "Booting" in lab.console("guest2")
""")
    result.assert_outcomes(passed=1)


def test_failed_comparison_shows_both_sides_and_the_console(run):
    result = run(f"def test_it(lab):\n{MEASURE}    assert phase.steal('guest1', 0) < 5\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*assert steal < 5*",
            "*steal of guest1 vcpu 0 in phase contended: guest 50.* %, host 50.* % (* s)*",
            "*predicted with all load running: 50.0 %*",
            "*the console of guest1 ends:*",
            "*Booting Linux*",
            "*lab recording*",
            f"*{recordings()[0].resolve()}*",
        ]
    )


def test_the_recording_of_a_failed_test_is_kept_and_no_other(run):
    run(f"def test_it(lab):\n{MEASURE}    assert phase.steal('guest1', 0) > 40\n").assert_outcomes(passed=1)
    assert recordings() == []
    run(f"def test_it(lab):\n{MEASURE}    assert phase.steal('guest1', 0) < 40\n").assert_outcomes(failed=1)
    (kept,) = recordings()
    assert (kept / "guests/guest1/probe.stream").stat().st_size > 0
    assert "contended" in (kept / "events.jsonl").read_text()


def test_options_for_recordings(run, tmp_path):
    options = ("--lab-keep-recordings", f"--lab-recordings={tmp_path}/elsewhere")
    run("def test_it(lab):\n    pass\n", *options).assert_outcomes(passed=1)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["pair-lab1"]
    assert not recordings()


def test_undecided_is_an_error_and_neither_passes_nor_fails(run):
    result = run(f"""
def test_doubted(lab, opener):
    for guest in opener.world.guests.values(): guest.lies_pct = 10
{MEASURE}    assert phase.steal("guest1", 0) < 99

def test_too_short(lab):
    assert lab.measure("short", seconds=1).steal("guest1", 0) < 99
""")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*UndecidedError*guest 60.* %, host 50.* %*disagree*"])
    result.stdout.fnmatch_lines(["*UndecidedError*too short*"])


def test_a_lost_guest_is_an_error_and_the_next_test_gets_another_lab(run):
    result = run(f"""
def test_lost(lab, opener):
{LOSE}
def test_next(lab):
    assert lab.lab_id == "lab2"

def test_same_as_next(lab):
    assert lab.lab_id == "lab2"
""")
    result.assert_outcomes(errors=1, passed=2)
    result.stdout.fnmatch_lines(["*GuestLost*guest1 died*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [path.name for path in recordings()] == ["pair-lab1"]


def test_a_guest_lost_between_tests_is_noticed(run):
    result = run("""
def test_first(lab, opener):
    opener.lose("guest1")

def test_second(lab):
    assert lab.lab_id == "lab2"
""")
    result.assert_outcomes(passed=2)


def test_labs_are_not_brought_up_again_for_ever(run):
    losses = "\n".join(f"def test_{number}(lab, opener):\n{LOSE}" for number in range(5))
    result = run(losses)
    result.assert_outcomes(errors=5)
    result.stdout.fnmatch_lines(["*Lost: the lab was brought up 3 times and did not stay usable*"])
    assert opened() == 3


def test_a_failed_assertion_is_a_failure_and_the_lab_lives_on(run):
    result = run("def test_a(lab):\n    assert 0\ndef test_b(lab):\n    assert lab.lab_id == 'lab1'\n")
    result.assert_outcomes(failed=1, passed=1)


def test_a_refused_knob_is_a_failure_and_the_lab_lives_on(run):
    result = run("""
from lab.errors import KnobError
MASK = "/sys/devices/system/cpu/paravirt"

def test_refused(lab):
    lab.knob("guest1", MASK).set("0-1")

def test_expected(lab):
    with pytest.raises(KnobError, match="Invalid argument"):
        lab.knob("guest1", MASK).set("7")
    assert lab.lab_id == "lab1"
""")
    result.assert_outcomes(failed=1, passed=1)


def test_a_knob_that_keeps_its_own_value_spoils_the_lab(run):
    result = run("""
from lab.errors import KnobError

def test_kept(lab):
    with pytest.raises(KnobError, match="read back '0'"):
        lab.knob("guest1", "/sys/kernel/stubborn").set("1")

def test_next(lab):
    assert lab.lab_id == "lab2"
""")
    result.assert_outcomes(passed=2)


def test_what_a_test_changed_is_taken_back(run):
    result = run("""
def test_first(lab, opener):
    lab.load("busy").start()
    lab.knob("guest1", "avoid_cpus").set("1")
    lab.knob("guest1", "avoid_cpus").set("0")

def test_second(lab, opener):
    assert lab.lab_id == "lab1"
    assert lab.knob("guest1", "avoid_cpus").get() == ""
    assert not any(guest.loads for guest in opener.world.guests.values())
""")
    result.assert_outcomes(passed=2)


def test_a_phase_measured_twice_is_two_phases(run):
    result = run(f"""
def test_it(lab):
{MEASURE}
    lab.load("busy").stop()
    again = lab.measure("contended", seconds=10)
    assert [one.name for one in lab.phases] == ["contended", "contended-2"]
    assert phase.steal("guest1", 0) > 40 > again.steal("guest1", 0)
""")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("scope", "labs"),
    [("function", 4), ("class", 3), ("module", 1), ("session", 1)],
    ids=lambda one: str(one),
)
def test_scopes(run, scope, labs):
    text = "class Test{0}:\n    def test_a(self, lab): pass\n    def test_b(self, lab): pass\n"
    result = run(
        text.format("One") + "def test_c(lab): pass\ndef test_d(lab): pass\n",
        head=f"import pytest\npytestmark = pytest.mark.lab('pair.yaml', scope='{scope}')\n",
    )
    result.assert_outcomes(passed=4)
    assert opened() == labs
    assert Path("open_labs.txt").read_text() == "0"


def test_a_module_lab_ends_with_its_module(run, pytester):
    pytester.makepyfile(test_zzz="def test_it(opener):\n    assert opener.open_labs == 0\n")
    run("def test_it(lab):\n    pass\n").assert_outcomes(passed=2)


def test_the_host_of_the_option_wins_over_the_marker(run):
    text = "def test_it(lab, opener):\n    assert opener.hosts == ['{}']\n"
    head = "import pytest\npytestmark = pytest.mark.lab('pair.yaml', host='local')\n"
    run(text.format("local"), head=head).assert_outcomes(passed=1)
    run(text.format("nested"), "--lab-host=nested", head=head).assert_outcomes(passed=1)


def test_what_is_wrong_with_the_input_is_told_without_a_traceback(run, pytester):
    pytester.makefile(".yaml", bad="version: 1\nname: bad\nnodez: []\n")
    result = run("""
@pytest.mark.lab("bad.yaml")
def test_bad(lab): pass

@pytest.mark.lab("none.yaml")
def test_none(lab): pass

@pytest.mark.lab("pair.yaml", scope="galaxy")
def test_scope(lab): pass
""")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        ["*bad.yaml:3: nodez:*", "*none.yaml cannot be read*", "*scope 'galaxy' is none of function*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*decode.py*")


def test_the_fixture_needs_the_marker(run):
    result = run("def test_it(lab): pass\n", head="")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the lab fixture needs a topology*"])


def test_names_that_do_not_exist(run):
    result = run("""
from lab.errors import InputError

@pytest.mark.parametrize("ask", [
    lambda lab: lab.load("nothing"), lambda lab: lab.knob("guest9", "avoid_cpus"),
    lambda lab: lab.knob("guest1", "avoid_cpu"), lambda lab: lab.exec("guest9", "true"),
    lambda lab: lab.load("busy").stop(), lambda lab: lab.knob("guest1", "avoid_cpus").set("x"),
])
def test_it(lab, ask):
    with pytest.raises(InputError):
        ask(lab)
    assert lab.lab_id == "lab1"
""")
    result.assert_outcomes(passed=6)


def test_an_unfit_host_is_asked_only_once(run, pytester):
    pytester.makepyfile(
        test_user="""
import pytest
from lab.errors import HostError
asked = []

@pytest.fixture(scope="session")
def lab_opener():
    def refuse(topology, where):
        asked.append(where)
        raise HostError("no KVM here", "run lab doctor")
    return refuse

pytestmark = pytest.mark.lab("pair.yaml")
def test_a(lab): pass
def test_b(lab): pass
def test_c(): assert len(asked) == 1
"""
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(["*HostError: no KVM here*", "*run lab doctor*"])


def test_junit_has_steal_and_the_recording_and_tells_errors_from_failures(run):
    run(
        f"""
def test_measured(lab):
{MEASURE}    assert phase.steal("guest1", 0) < 5

def test_lost(lab, opener):
{LOSE}""",
        "--junitxml=junit.xml",
    ).assert_outcomes(failed=1, errors=1)
    suite = ElementTree.parse("junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("errors")) == ("1", "1")
    measured, lost = suite.iter("testcase")
    found = {one.get("name"): one.get("value") for one in measured.iter("property")}
    assert found["lab_id"] == "lab1"
    assert Path(found["lab_recording"]).is_dir()
    assert abs(float(found["steal/contended/guest1/0/guest_pct"]) - 50) < 1
    assert abs(float(found["steal/contended/guest2/1/host_pct"]) - 50) < 1
    assert lost.find("error") is not None
    assert lost.find("failure") is None


def test_without_a_lab_nothing_is_imported(pytester):
    pytester.makepyfile("""
import sys

def test_it():
    heavy = {"libvirt", "fabric", "paramiko", "scipy", "pydantic", "jinja2", "lab.wiring", "lab.run", "lab.errors"}
    assert "lab.pytest_plugin" in sys.modules
    assert heavy & set(sys.modules) == set()
""")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_what_decided_nothing_is_written_down_unless_something_failed(run, tmp_path):
    listed = tmp_path / "undecided"
    lost = f"""
def test_lost(lab, opener):
{LOSE}
def test_next(lab):
    pass
"""
    run(lost, "--lab-undecided", str(listed)).assert_outcomes(passed=1, errors=1)
    assert [line.split("::")[1] for line in listed.read_text().splitlines()] == ["test_lost"]
    run(lost + "    assert False\n", "--lab-undecided", str(listed)).assert_outcomes(failed=1, errors=1)
    assert listed.read_text() == ""
