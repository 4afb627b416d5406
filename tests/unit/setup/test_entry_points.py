# SPDX-License-Identifier: GPL-2.0-only
"""`demo`, `test`, `check`, `clean` and what they share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from setup_machine import Machine

from lab.artifacts.cache import cache_root

# ---- demo


def test_the_demo_records_says_where_and_stops_the_host(ready):
    done = ready.run("make", "demo")
    assert done.returncode == 0, done.stdout
    run, down = ready.calls()
    assert run.startswith("lab run topologies/quickstart.yaml --record recordings/quickstart-")
    assert run.split()[-1] in done.stdout
    assert down == "lab host down"


def test_the_demo_is_the_first_command(machine):
    machine.run("make", "demo")
    assert machine.calls()[0].startswith("apt-get ")


def test_an_undecided_demo_is_measured_again_twice(ready):
    ready.note("lab-run", "5")
    assert ready.run(".ci/demo", RECORD="here").returncode == 5
    runs = [call for call in ready.calls() if call.startswith("lab run ")]
    assert [run.split()[-1] for run in runs] == ["here", "here-again2", "here-again3"]


@pytest.mark.parametrize("code", [1, 4, 5])
def test_the_demo_exits_as_the_run_did_and_stops_the_host(ready, code):
    ready.note("lab-run", str(code))
    assert ready.run(".ci/demo").returncode == code
    assert ready.calls()[-1] == "lab host down"


def test_a_host_that_does_not_stop_does_not_change_the_outcome(ready):
    ready.note("lab-host", "4")
    done = ready.run(".ci/demo")
    assert done.returncode == 0
    assert "host VM may still run" in done.stdout


def test_the_host_is_kept_on_demand(ready):
    ready.run("make", "demo", "KEEP=1", "RECORD=here")
    assert ready.calls() == ["lab run topologies/quickstart.yaml --record here"]


# ---- test


def test_tests_come_after_what_they_need_and_before_the_clean_up(ready):
    done = ready.run("make", "test")
    assert done.returncode == 0, done.stdout
    without_vm, prepare, with_vm, *clean_up = ready.calls()
    assert without_vm.startswith("pytest ") and "--ignore=tests/e2e" in without_vm
    assert prepare == "lab prepare topologies/one.yaml"
    assert with_vm.startswith("pytest ") and with_vm.endswith(" tests/e2e")
    assert clean_up == ["lab gc", "lab host down"]


def test_the_last_line_is_the_summary(ready):
    done = ready.run(".ci/run", CI="true")
    assert done.stdout.splitlines()[-1] == "3 passed in 0.01s"


@pytest.mark.parametrize("code", [1, 2, 5])
def test_the_exit_code_is_that_of_pytest(ready, code):
    ready.note("pytest", str(code))
    assert ready.run(".ci/test").returncode == code
    assert ready.calls()[-1] == "lab host down"


def test_what_cannot_be_prepared_is_not_tested(ready):
    ready.note("lab-prepare", "4")
    assert ready.run(".ci/test").returncode == 4
    assert ready.calls()[1:] == ["lab prepare topologies/one.yaml", "lab gc", "lab host down"]


def test_the_output_of_the_tests_is_kept(ready):
    ready.run(".ci/test")
    assert any("3 passed" in log.read_text() for log in (ready.checkout / "logs").glob("test-*.log"))


def test_arguments_reach_pytest(ready):
    ready.run("make", "test", "ARGS=-k steal")
    assert any(call.startswith("pytest ") and call.endswith(" -k steal") for call in ready.calls())


def test_long_tests_are_run_on_demand_only(ready):
    ready.run("make", "test")
    assert "-m not long" in ready.calls()[2]
    assert ready.run("make", "test-long", "ARGS=-x").returncode == 0
    prepare, long, *clean_up = ready.calls()
    assert prepare == "lab prepare topologies/one.yaml"
    assert long.startswith("pytest ") and " -m long -x " in long and long.endswith(" tests/e2e")
    assert clean_up == ["lab gc", "lab host down"]


# ---- check


def test_the_check_needs_no_libvirtd_and_no_lab(machine):
    machine.install_venv_programs()
    machine.run("make", "check")
    assert {call.split()[0] for call in machine.calls()} == {"apt-get", "venv", "pip"}


def test_the_check_leaves_out_what_needs_a_vm(ready):
    assert ready.run("make", "check").returncode == 0
    (call,) = ready.calls()
    assert "--ignore=tests/e2e" in call and "not e2e and not kernelbuild" in call


# ---- clean


def make_cache(machine: Machine) -> Path:
    for name in ("locks", "logs", "kernel"):
        (machine.cache / name).mkdir(parents=True)
    return machine.cache


def test_clean_removes_droppings_and_keeps_recordings_and_cache(ready):
    cache = make_cache(ready)
    kept = ready.checkout / "recordings/one/recording.json"
    kept.parent.mkdir(parents=True)
    kept.touch()
    (ready.checkout / "lab/__pycache__").mkdir()
    assert ready.run("make", "clean").returncode == 0
    assert kept.exists() and cache.exists()
    assert not (ready.checkout / ".venv").exists()
    assert not (ready.checkout / "logs").exists()
    assert not (ready.checkout / "lab/__pycache__").exists()


def test_clean_removes_the_cache_on_demand_after_the_host_vm(ready):
    cache = make_cache(ready)
    assert ready.run("make", "clean", "CLEAN_CACHE=1").returncode == 0
    assert ready.calls() == ["lab host down"]
    assert not cache.exists()


def test_clean_keeps_a_directory_that_is_no_cache(ready):
    (ready.cache / "photographs").mkdir(parents=True)
    done = ready.run("make", "clean", "CLEAN_CACHE=1")
    assert done.returncode != 0
    assert "does not look like" in done.stdout
    assert (ready.cache / "photographs").exists()


def test_clean_keeps_the_cache_of_a_host_vm_that_does_not_stop(ready):
    cache = make_cache(ready)
    ready.note("lab-host", "4")
    assert ready.run("make", "clean", "CLEAN_CACHE=1").returncode != 0
    assert cache.exists()


# ---- shared


@pytest.mark.parametrize("user", [False, True], ids=["root", "user"])
@pytest.mark.parametrize(
    "environment",
    [
        {"LAB_CACHE_DIR": "/srv/c", "XDG_CACHE_HOME": "/srv/x"},
        {"LAB_CACHE_DIR": "", "XDG_CACHE_HOME": "/srv/x"},
        {"LAB_CACHE_DIR": ""},
    ],
    ids=["lab", "xdg", "neither"],
)
def test_scripts_and_lab_agree_on_the_cache(machine, environment, user):
    if user:
        machine.note("user")
    done = machine.run("bash", "-c", ". .ci/lib.sh; cache_dir", HOME="/srv/h", **environment)
    assert Path(done.stdout.strip()) == cache_root(environment, Path("/srv/h"), is_root=not user)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("Unpacking a\npmstatus:a:41.9:Unpacking a\nSetting up b ...\n", "41 %: Setting up b ..."),
        ("dlstatus:1:7.5:Retrieving\nGet:1 x\n", "7 %: Get:1 x"),
        ("Collecting pydantic\n\n", "Collecting pydantic"),
        ("10%\r20%\r", "20%"),
        ("", ""),
    ],
    ids=["apt", "download", "pip", "redrawn", "empty"],
)
def test_progress_is_the_logs_last_word(machine, log, words):
    path = machine.checkout / "some.log"
    path.write_text(log)
    done = machine.run("bash", "-c", '. .ci/lib.sh; last_words "$1"', "bash", str(path))
    assert done.stdout.strip() == words


def test_a_long_step_tells_how_far_it_is(machine):
    script = '. .ci/lib.sh; step "counting" bash -c "echo one; sleep 0.5; echo two"'
    done = machine.run("bash", "-c", script, "setup", FOLLOW_S="0.1")
    assert re.search(r"counting: \d+ s: one", done.stdout)
    assert "counting: done in" in done.stdout
