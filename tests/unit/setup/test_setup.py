# SPDX-License-Identifier: GPL-2.0-only
"""`.ci/setup`: everything from nothing, nothing where all is there, and a plain word where it cannot be."""

from __future__ import annotations

import shutil

import pytest
from setup_machine import ROOT, Machine


def packages() -> list[str]:
    lines = (ROOT / ".ci/packages").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def installed(machine: Machine) -> list[str]:
    return (machine.notes / "installed").read_text().split()


# ---- the whole


def test_a_bare_machine_gets_everything_in_order(machine):
    done = machine.setup()
    assert done.returncode == 0, done.stdout
    programs = [call.split()[0] for call in machine.calls()]
    assert programs == ["apt-get", "apt-get", "venv", "pip", "virtlogd", "libvirtd"]
    assert sorted(installed(machine)) == sorted(packages())


def test_a_repeat_calls_nothing_says_nothing_and_leaves_no_log(ready):
    logs = sorted((ready.checkout / "logs").iterdir())
    again = ready.setup()
    assert (again.returncode, again.stdout, ready.calls()) == (0, "", [])
    assert sorted((ready.checkout / "logs").iterdir()) == logs


def test_make_runs_it(machine):
    assert machine.run("make", "setup").returncode == 0
    assert "libvirtd -d" in machine.calls()


def test_an_unknown_part_is_bad_input(machine):
    done = machine.setup("vnev")
    assert done.returncode == 2
    assert "vnev" in done.stdout and "venv" in done.stdout


# ---- packages


def test_only_missing_packages_are_installed(machine):
    machine.note("installed", "\n".join(name for name in packages() if name not in ("bc", "flex")) + "\n")
    assert machine.setup("packages").returncode == 0
    update, install = machine.calls()
    assert update.endswith(" update")
    assert install.split(" install ")[1].split() == ["bc", "flex"]


def test_apt_asks_nobody(machine):
    machine.setup("packages")
    install = machine.calls()[-1].split(" install ")[0].split()
    assert {"-y", "Dpkg::Options::=--force-confold"} <= set(install)


def test_a_user_who_may_not_install_is_told_the_command(machine):
    machine.note("user")
    machine.note("installed", "\n".join(packages()[1:]) + "\n")
    done = machine.setup("packages")
    assert done.returncode == 3
    assert f"apt-get install {packages()[0]}\n" in done.stdout
    assert machine.calls() == []


def test_a_user_needs_no_root_where_nothing_is_missing(ready):
    ready.note("user")
    assert ready.setup().returncode == 0


def test_a_failed_step_shows_the_logs_tail_and_where_it_is(machine):
    machine.note("apt-is-broken")
    done = machine.setup()
    assert done.returncode == 3
    assert "E: no space left" in done.stdout
    (log,) = (machine.checkout / "logs").iterdir()
    assert f"logs/{log.name}" in done.stdout
    assert "E: no space left" in log.read_text()


def test_no_package_is_listed_twice():
    assert len(packages()) == len(set(packages()))


# ---- the virtual environment


def test_changed_requirements_are_installed_into_the_same_environment(ready):
    (ready.checkout / "pyproject.toml").write_text("[project]\n# more\n")
    assert ready.setup().returncode == 0
    assert ready.calls() == ["pip"]
    assert ready.setup().returncode == 0
    assert ready.calls() == []


def test_an_environment_without_its_python_is_made_anew(ready):
    (ready.checkout / ".venv/bin/python").unlink()
    assert ready.setup().returncode == 0
    assert ready.calls() == ["venv", "pip"]


def test_a_moved_checkout_gets_an_environment_of_its_own(ready):
    moved = ready.checkout.with_name("moved")
    shutil.move(ready.checkout, moved)
    ready.checkout = moved
    assert ready.setup().returncode == 0
    assert ready.calls() == ["venv", "pip"]


def test_a_failed_installation_is_tried_again(machine):
    machine.note("pip-is-broken")
    assert machine.setup("venv").returncode == 3
    (machine.notes / "pip-is-broken").unlink()
    machine.calls()
    assert machine.setup("venv").returncode == 0
    assert machine.calls() == ["pip"]


def test_an_old_python_is_refused(machine):
    machine.note("python-is-old")
    done = machine.setup("venv")
    assert done.returncode == 3
    assert "3.11" in done.stdout
    assert machine.calls() == []


# ---- libvirtd


def test_without_systemd_both_daemons_are_started_by_hand(machine):
    assert machine.setup("libvirtd").returncode == 0
    assert machine.calls() == ["virtlogd -d", "libvirtd -d"]


def test_a_libvirtd_without_its_virtlogd_gets_one(machine):
    machine.note("libvirtd-answers")
    assert machine.setup("libvirtd").returncode == 0
    assert machine.calls() == ["virtlogd -d"]


def test_a_stale_pid_file_is_no_virtlogd(ready):
    ready.own("run/virtlogd.pid", "99999999\n")
    assert ready.setup("libvirtd").returncode == 0
    assert ready.calls() == ["virtlogd -d"]


@pytest.mark.parametrize(
    ("modular", "unit"), [(False, "libvirtd.service"), (True, "virtqemud.socket")], ids=["one", "modular"]
)
def test_with_systemd_its_units_are_started(machine, modular, unit):
    (machine.root / "run/systemd/system").mkdir(parents=True)
    if modular:
        machine.note("libvirt-is-modular")
    assert machine.setup("libvirtd").returncode == 0
    (call,) = machine.calls()
    assert call.startswith("systemctl start ") and unit in call.split()


def test_a_user_cannot_start_it(machine):
    machine.note("user")
    done = machine.setup("libvirtd")
    assert done.returncode == 3
    assert "qemu:///system" in done.stdout


# ---- AppArmor

PROFILE = "etc/apparmor.d/usr.sbin.libvirtd"


def confine(machine: Machine) -> None:
    machine.own("sys/module/apparmor/parameters/enabled", "Y\n")
    machine.own(PROFILE, "profile libvirtd {}\n")


def test_a_confined_libvirtd_may_run_the_labs_emulator(machine):
    confine(machine)
    foreign = "/srv/tool PUx,\n"
    rules = machine.own("etc/apparmor.d/local/usr.sbin.libvirtd", foreign)
    assert machine.setup("apparmor").returncode == 0
    assert machine.calls() == [f"apparmor_parser -r {machine.root / PROFILE}"]
    assert rules.read_text().startswith(foreign)
    assert f'"{machine.cache}/toolbox/**" PUx,\n' in rules.read_text()
    guests = machine.root / "etc/apparmor.d/local/abstractions/libvirt-qemu"
    assert f'"{machine.cache}/toolbox/**" rmix,\n' in guests.read_text()


def test_its_rules_are_added_once(machine):
    confine(machine)
    machine.setup("apparmor")
    before = (machine.root / "etc/apparmor.d/local/usr.sbin.libvirtd").read_text()
    machine.calls()
    assert machine.setup("apparmor").returncode == 0
    assert machine.calls() == []
    assert (machine.root / "etc/apparmor.d/local/usr.sbin.libvirtd").read_text() == before


def test_without_apparmor_its_rules_stay_as_they_are(machine):
    confine(machine)
    machine.own("sys/module/apparmor/parameters/enabled", "N\n")
    assert machine.setup("apparmor").returncode == 0
    assert machine.calls() == []
    assert not (machine.root / "etc/apparmor.d/local").exists()
