# SPDX-License-Identifier: GPL-2.0-only
"""Scripts of the guests' images that loads run, on made-up files of the kernel."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[3] / "images/guest/files/usr/bin"
#: As Linux 6.12 prints it in a guest with three of four vCPUs online.
BEFORE = """\
            CPU0       CPU1       CPU3
 24:         10         20         40  PCI-MSIX-0000:00:02.0   1-edge      virtio0-input.0
 25:          1          2          4  PCI-MSIX-0000:00:02.0   2-edge      virtio0-output.0
LOC:        100        200        400   Local timer interrupts
RES:          7          7          7   Rescheduling interrupts
ERR:          0
"""
AFTER = """\
            CPU0       CPU1       CPU3
 24:         11         23         46  PCI-MSIX-0000:00:02.0   1-edge      virtio0-input.0
 25:          1          2          4  PCI-MSIX-0000:00:02.0   2-edge      virtio0-output.0
LOC:        110        230        460   Local timer interrupts
RES:          9          9          9   Rescheduling interrupts
ERR:          0
"""


def run(program: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(PROGRAMS / program), *args]
    return subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )


def count_interrupts(tmp_path: Path, listed: str, before: str, after: str) -> dict[str, float]:
    """What it says of a file that changes while it sleeps."""
    path = tmp_path / "interrupts"
    path.write_text(before)
    # Its sleep tells that it has read the file: a program of this name is found before the system's.
    sleep = tmp_path / "sleep"
    (tmp_path / "after").write_text(after)
    sleep.write_text(f"#!/bin/sh\nmv {tmp_path}/after {path}\n")
    sleep.chmod(0o755)
    done = run("count-interrupts", "1", listed, INTERRUPTS=str(path), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.parametrize(
    ("listed", "device", "timer"), [("3", 6, 60), ("1,3", 9, 90), ("1-2", 3, 30), ("2", 0, 0)]
)
def test_interrupts_of_listed_vcpus_are_counted_by_the_headers_names(
    tmp_path: Path, listed: str, device: int, timer: int
) -> None:
    said = count_interrupts(tmp_path, listed, BEFORE, AFTER)
    assert (said["device"], said["timer"]) == (10, 100)
    assert (said["device_listed"], said["timer_listed"]) == (device, timer)
    assert said["device_share"] == 10 * device
    assert said["timer_listed_per_s"] == timer


def test_no_interrupts_are_no_share(tmp_path: Path) -> None:
    assert count_interrupts(tmp_path, "0-3", BEFORE, BEFORE)["device_share"] == 0


def make_vcpus(directory: Path, count: int) -> None:
    for vcpu in range(count):
        (directory / f"cpu{vcpu}").mkdir()
        if vcpu:
            (directory / f"cpu{vcpu}/online").write_text("1\n")
    (directory / "cpuidle").mkdir()


def test_a_storm_turns_vcpus_and_leaves_all_of_them_online(tmp_path: Path) -> None:
    make_vcpus(tmp_path, 4)
    done = run("plug-storm", "2", "7", "0.05", CPUS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    said = {name: int(value) for name, value in (line.split() for line in done.stdout.splitlines())}
    assert said["offlined"] >= said["onlined"] >= 3
    assert said["refused"] == 0
    assert [path.read_text() for path in tmp_path.glob("cpu[1-3]/online")] == ["1\n"] * 3


def test_a_storm_of_one_vcpu_is_refused(tmp_path: Path) -> None:
    make_vcpus(tmp_path, 1)
    done = run("plug-storm", "1", "7", "0", CPUS=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "a storm needs two vCPUs or more\n"


# ---- run-kernel-build

KERNEL_BUILD = Path(__file__).parents[3] / "images/guest-build/files/usr/bin/run-kernel-build"
#: Does what kbuild would, as far as the script cares: a word of what is made, and objects of a directory.
MAKE = """\
#!/bin/sh
for word in "$@"; do
    case $word in
    O=*) out=${word#O=} ;;
    */) mkdir -p "$out/$word/deep" && touch "$out/$word/a.o" "$out/$word/deep/b.o" "$out/$word/built-in.a" ;;
    esac
done
echo "$@" >>"$out/../made"
echo "a message of make" >&2
[ ! -e "$out/../broken" ]
"""


def kernel_build(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "linux/kernel/locking").mkdir(parents=True, exist_ok=True)
    (tmp_path / "linux/kernel/locking/Makefile").touch()
    make = tmp_path / "bin/make"
    make.parent.mkdir(exist_ok=True)
    make.write_text(MAKE)
    make.chmod(0o755)
    places = {"KERNEL_SOURCES": str(tmp_path / "linux"), "KERNEL_BUILD": str(tmp_path / "build")}
    env = {**os.environ, **places, "PATH": f"{make.parent}:{os.environ['PATH']}"}
    command = ["sh", str(KERNEL_BUILD), *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_kernel_directory_is_compiled_anew_each_time_and_prepared_once(tmp_path: Path) -> None:
    for _ in range(2):
        done = kernel_build(tmp_path, "3", "kernel/locking")
        assert done.returncode == 0 and done.stderr == "", done.stderr
        said = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
        assert said["objects"] == "2" and float(said["seconds"]) >= 0.01
        # The other figure is of the same hundredths of a second.
        assert abs(float(said["objects per second"]) - 2 / float(said["seconds"])) < 0.011
    made = (tmp_path / "made").read_text().splitlines()
    assert [line.split()[-1] for line in made] == [
        "tinyconfig",
        "prepare",
        "kernel/locking/",
        "kernel/locking/",
    ]
    assert all("-j3" in line.split() for line in made)


def test_a_kernel_that_does_not_compile_says_why_and_lets_go(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    done = kernel_build(tmp_path, "1", "kernel/locking/")
    assert done.returncode == 1 and done.stdout == "" and "a message of make" in done.stderr
    (tmp_path / "broken").unlink()
    assert kernel_build(tmp_path, "1", "kernel/locking/").returncode == 0


def test_a_kernel_is_built_once_at_a_time_and_only_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "build.lock").mkdir()
    done = kernel_build(tmp_path, "1", "kernel/locking/")
    assert done.returncode == 2 and "already" in done.stderr and (tmp_path / "build.lock").is_dir()
    done = kernel_build(tmp_path, "1", "drivers/")
    assert done.returncode == 2 and "drivers/ is no directory" in done.stderr
