# SPDX-License-Identifier: GPL-2.0-only
"""`lab top` in a real terminal, on real labs: while quickstart runs, and of a lab in somebody's hands."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_lab import LAB, ROOT, Done, RealHost, call, calling, lost_guests_decide_nothing
from terminals import Terminal, cpu_seconds, open_terminal

from lab.errors import UndecidedError
from lab.measure.doubts import HELPERS_PCT

QUICKSTART = ROOT / "topologies/quickstart.yaml"
#: Runs of quickstart that a disturbed host may make undecided before nothing was decided.
RUNS = 3
#: What top itself may use of this machine's CPU, and its follower of the host's.
TOP_PCT, FOLLOWER_PCT = 25.0, 3.0
ROW = re.compile(r"^(guest\d)\.(\d) +\d +([\d.]+)% +([\d.]+)% +([\d.]+)% +([\d.]+)/s", re.MULTILINE)


@pytest.mark.long
def test_quickstart_is_watched_and_not_disturbed(
    tmp_path: Path, real_host: RealHost, figures: Callable[..., None]
) -> None:
    for attempt in range(RUNS):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        if _watch_quickstart(directory, figures):
            return
    raise UndecidedError(f"{RUNS} watched runs of quickstart decided nothing")


def _watch_quickstart(directory: Path, figures: Callable[..., None]) -> bool:
    """Whether the run was decided; then it has passed, and its verdicts know what the watching cost."""
    with open_terminal(directory) as terminal:
        terminal.type(f"{LAB} top --wait quickstart; echo ended with $?", "Enter")
        with calling("run", QUICKSTART, "--record", directory / "r", "--json", log=directory / "log") as run:
            run.wait_told("phase contended")
            contended = terminal.wait("figures of the contended phase", _is_contended, 120)
            started, used = time.monotonic(), cpu_seconds("top --wait quickstart")
            time.sleep(10)
            top_pct = 100 * (cpu_seconds("top --wait quickstart") - used) / (time.monotonic() - started)
            _look_around(terminal)
            folded = terminal.wait("figures of the folded phase", _is_folded, 120)
            status = run.process.wait(300)
        terminal.wait_for("the lab has ended")
        terminal.type("q")
        terminal.wait_for("ended with 0")
    if status == 5:
        return False
    assert status == 0, run.told()
    follower_pct = float(re.findall(r"watching ([\d.]+)%", folded)[0])
    helpers_pct = _helpers_pct(run.told())
    figures(
        *(f"| {line}" for line in contended.rstrip().splitlines()),
        f"lab top itself {top_pct:.1f} % of a CPU here, its follower {follower_pct:.1f} % of a pCPU there, all of "
        f"the lab's helpers {helpers_pct:.1f} %",
    )
    assert top_pct < TOP_PCT and follower_pct < FOLLOWER_PCT and helpers_pct < HELPERS_PCT
    return True


def _is_contended(screen: str) -> bool:
    """Four vCPUs that both sides see wait about half of their time."""
    rows = ROW.findall(screen)
    return "phase contended measured" in screen and len(rows) == 4 and all(_near(row, 50, 12) for row in rows)


def _is_folded(screen: str) -> bool:
    rows = ROW.findall(screen)
    return "phase folded measured" in screen and len(rows) == 4 and all(_near(row, 0, 6) for row in rows)


def _near(row: tuple[str, ...], steal_pct: float, within: float) -> bool:
    return abs(float(row[3]) - steal_pct) < within and abs(float(row[4]) - steal_pct) < within


def _look_around(terminal: Terminal) -> None:
    """Every pane, help, and another size; nothing of it may end it."""
    terminal.type("2")
    terminal.wait_for("runs an experiment in this lab")
    terminal.type("3")
    terminal.wait_for("console of guest1")
    terminal.type("?")
    terminal.wait_for("what reading along costs")
    terminal.type("Enter")
    terminal.wait("no help", lambda screen: "what reading along costs" not in screen)
    terminal.resize(132, 40)
    terminal.type("4")
    terminal.wait_for("load busy starts on guest1")
    terminal.resize(80, 24)
    terminal.type("1")
    terminal.wait_for("steal: guest")


def _helpers_pct(told: str) -> float:
    """The largest of the run's windows, out of its document."""
    found = [float(one) for one in re.findall(r'"helpers_pct": ([\d.]+)', told)]
    return max(found, default=0.0)


@pytest.mark.long
def test_a_lab_in_somebodys_hands(tmp_path: Path, real_host: RealHost, figures: Callable[..., None]) -> None:
    up = call("up", QUICKSTART)
    assert up.status == 0, up.err
    try:
        with lost_guests_decide_nothing(real_host):
            _use(tmp_path, real_host, figures)
    finally:
        down = call("down")
    assert down.status == 0, down.err


def _use(directory: Path, host: RealHost, figures: Callable[..., None]) -> None:
    assert call("load", "start", "busy").status == 0
    _check_frame(call("top"), figures)
    with open_terminal(directory) as terminal:
        terminal.type(f"{LAB} top; echo ended with $?", "Enter")
        terminal.wait("figures", lambda screen: len(ROW.findall(screen)) == 4, 120)
        terminal.type("2")
        terminal.wait_for("avoid_cpus", 120)
        _change_a_knob(terminal)
        terminal.type("1")
        terminal.wait("one vCPU that has a pCPU for itself", _one_is_alone, 60)
        _read_a_kernels_log(terminal)
        domain = next(name for name in host.domains() if name.endswith("guest2"))
        host.virsh("destroy", domain)
        terminal.wait_for("guest guest2 is gone", 60)
        terminal.wait_for("1/2 guests up")
        terminal.type("C-c")
        terminal.wait_for("ended with 0")
        assert not re.search(r"top-\d", host.run("ls /var/lib/paravirt-lab/labs/*/"))


def _check_frame(done: Done, figures: Callable[..., None]) -> None:
    assert done.status == 0, done.err
    assert len(ROW.findall(done.out)) == 4 and max(map(len, done.out.splitlines())) <= 80
    figures(*(f"| {line}" for line in done.out.splitlines()))


def _change_a_knob(terminal: Terminal) -> None:
    """A value that the kernel takes, and one that it refuses."""
    for _ in range(30):
        if re.search(r"^ *avoid_cpus", terminal.screen, re.MULTILINE):
            break
        terminal.type("Down")
    terminal.type("Home", "Enter")
    terminal.wait_for("now empty")
    terminal.type("1", "Enter")
    terminal.wait_for("avoid_cpus: empty -> 1", 60)
    assert call("knob", "get", "guest1", "avoid_cpus").out.strip() == "1"
    terminal.type("Enter")
    terminal.wait_for("now 1")
    terminal.type("BSpace", "0-1", "Enter")
    terminal.wait("a refusal", lambda screen: "avoid_cpus" in screen and "0-1" in screen, 60)
    assert call("knob", "get", "guest1", "avoid_cpus").out.strip() == "1"


def _read_a_kernels_log(terminal: Terminal) -> None:
    terminal.type("3")
    terminal.wait_for("console of guest1")
    terminal.type("l")
    terminal.wait_for("kernel log of guest1", 60)
    terminal.wait(
        "its lines", lambda screen: re.search(r"^\[ +\d+\.\d+\] ", screen, re.MULTILINE) is not None
    )
    terminal.type("1")


def _one_is_alone(screen: str) -> bool:
    steal = {(row[0], row[1]): float(row[4]) for row in ROW.findall(screen)}
    return len(steal) == 4 and steal["guest2", "1"] < 15


def test_without_a_lab() -> None:
    known = json.loads(call("status", "--json").out)
    if not known:
        done = call("top")
        assert done.status == 2 and "no lab is up or running" in done.err
