# SPDX-License-Identifier: GPL-2.0-only
"""A lab in the hands of a user: up, status, exec, ssh, knob, load, down; and two labs at once."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e_lab import LAB, ROOT, Done, RealHost, call, lost_guests_decide_nothing

QUICKSTART = ROOT / "topologies/quickstart.yaml"
MASK = "/sys/devices/system/cpu/paravirt"


def test_a_lab_by_hand(real_host: RealHost) -> None:
    up = call("up", QUICKSTART)
    assert up.status == 0, up.err
    try:
        with lost_guests_decide_nothing(real_host):
            use_by_hand()
            look_around()
            use_the_console()
    finally:
        down = call("down")
    assert down.status == 0, down.err
    assert not {name for name in real_host.domains() if name.startswith("lab-")}


def use_by_hand() -> None:
    """Each verb for a lab that runs."""
    status = json.loads(call("status", "--json").out)
    assert "quickstart" in json.dumps(status)
    assert call("exec", "guest1", "--", "nproc").out.strip() == "2"
    assert call("exec", "guest1", "--", "sh", "-c", "exit 7").status == 7
    assert call("ssh", "guest2", "--", "hostname").out.strip() == "guest2"

    assert call("knob", "set", "guest1", "avoid_cpus", "1").status == 0
    assert call("exec", "guest1", "--", "cat", MASK).out.strip() == "1"
    assert call("knob", "get", "guest1", "avoid_cpus").out.strip() == "1"
    refused = call("knob", "set", "guest1", "avoid_cpus", "0-1")
    assert refused.status in (2, 4)
    assert call("exec", "guest1", "--", "cat", MASK).out.strip() == "1"

    assert call("load", "start", "busy").status == 0
    assert "pvspin" in call("exec", "guest1", "--", "sh", "-c", "cat /proc/[0-9]*/comm").out
    assert call("load", "stop", "busy").status == 0

    taken = call("up", QUICKSTART)
    assert taken.status == 4
    assert "leased" in taken.err


def look_around() -> None:
    """Verbs that look at all guests."""
    everywhere = call("exec", "--all", "--", "sh", "-c", "hostname; [ $(hostname) = guest1 ] || exit 3")
    assert (everywhere.status, sorted(everywhere.out.splitlines())) == (
        3,
        ["guest1 | guest1", "guest2 | guest2"],
    )
    assert sorted(call("exec", "guest[12]", "--", "nproc").out.splitlines()) == ["guest1 | 2", "guest2 | 2"]

    call("exec", "guest1", "--", "sh", "-c", "echo said on the console >/dev/console")
    assert "said on the console" in call("logs", "guest1").out
    kernel = call("logs", "--kernel").out.splitlines()
    assert {line.split(" | ")[0] for line in kernel} == {"guest1", "guest2"}
    assert any("Linux version" in line for line in kernel)
    events = call("logs", "--events").out
    assert {"guest1", "guest2"} <= {word.strip(",") for word in events.split()}
    assert " ready " in events


def use_the_console() -> None:
    """A shell on the guest's console through libvirt, left by the escape; the terminal is as it was."""
    terminal, inside = pty.openpty()
    before = termios.tcgetattr(inside)
    with subprocess.Popen(
        [LAB, "console", "guest1"], stdin=inside, stdout=inside, stderr=inside, start_new_session=True
    ) as child:
        try:
            read_until(terminal, "leaves it")
            answer, deadline = "", time.monotonic() + 120
            while "42-guest1" not in answer:  # what is typed before the console is open goes nowhere
                assert child.poll() is None, answer
                assert time.monotonic() < deadline, answer
                os.write(terminal, b"\recho $((6*7))-$(hostname)\r")
                answer += read_for(terminal, 3)
            os.write(terminal, b"\x1d")
            read_until(terminal, "left the console")
            assert child.wait(60) == 0
        finally:
            child.kill()
    assert termios.tcgetattr(inside) == before
    os.close(terminal)
    os.close(inside)


def read_until(terminal: int, text: str, seconds: float = 120) -> str:
    """What comes on a terminal, up to `text` at least."""
    said, deadline = "", time.monotonic() + seconds
    while text not in said:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no {text!r} within {seconds} s in {said!r}"
        said += os.read(terminal, 4096).decode(errors="replace")
    return said


def read_for(terminal: int, seconds: float) -> str:
    """What comes on a terminal for so long, or until it is silent."""
    said = ""
    while select.select([terminal], [], [], seconds)[0]:
        said += os.read(terminal, 4096).decode(errors="replace")
    return said


def test_two_labs_at_once_do_not_collide(tmp_path: Path, real_host: RealHost) -> None:
    def run(pcpu: int) -> Done:
        topology = tmp_path / f"pair{pcpu}.yaml"
        text = (ROOT / "topologies/steal-pair.yaml").read_text()
        topology.write_text(text.replace('pcpus: "0"', f'pcpus: "{pcpu}"').replace('["0"]', f'["{pcpu}"]'))
        return call("run", topology, "--record", tmp_path / f"r{pcpu}")

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, (0, 1)))
    # Whether both are quiet enough to be judged is another question: both must have run to their end.
    assert {done.status for done in ended} <= {0, 5}, [done.err for done in ended]
    assert not {name for name in real_host.domains() if name.startswith("lab-")}
