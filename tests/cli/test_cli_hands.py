# SPDX-License-Identifier: GPL-2.0-only
"""`lab exec` in several guests, `lab logs`, `lab console`, `lab status --watch`, completion: with a stand-in for
ssh that runs here what it is given."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from cli.driving import LAB, Driver, call
from cli.recordings import write_recording
from cli.test_cli_running import PLAN, UpLab

from lab.cli.completing import complete_labs
from lab.cli.logs import event_line, kmsg_line
from lab.errors import ExitCode
from lab.plan.domainxml import GuestPaths
from lab.recording import Event
from lab.run.boot import GuestFiles, write_guests
from lab.run.events import write_events
from lab.run.records import LabState

SSH = """\
#!/bin/sh
# ssh -F CONFIG -T -o BatchMode=yes NODE COMMAND, run here
shift 5
NODE=$1; export NODE
[ "$NODE" = "${DEAD:-}" ] && { echo "ssh: connect to host $NODE: no route" >&2; exit 255; }
exec sh -c "exec $2"
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of programs that comes first."""
    programs = tmp_path / "bin"
    programs.mkdir()
    write_program(programs / "ssh", SSH)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return programs


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def up(lab: Driver, ssh: Path) -> UpLab:
    return UpLab(lab)


# exec


def test_a_command_runs_everywhere_and_the_worst_status_counts(up: UpLab) -> None:
    done = call("exec", "--all", "--", "sh", "-c", 'echo "I am $NODE"; [ "$NODE" = one ] || exit 7')
    assert (done.code, sorted(done.out.splitlines())) == (7, ["one | I am one", "two | I am two"])


def test_nodes_are_chosen_by_names_and_globs(up: UpLab) -> None:
    assert sorted(call("exec", "one,t*", "--", "true").out.splitlines()) == []
    assert call("exec", "t*", "--", "sh", "-c", "echo $NODE").out == "two\n"
    unknown = call("exec", "one,tow", "--", "true")
    assert unknown.code == ExitCode.BAD_INPUT
    assert "did you mean two?" in unknown.err
    assert "there is no command" in call("exec", "one").err


def test_errors_of_one_guest_stand_on_stderr_and_do_not_stop_the_other(up: UpLab) -> None:
    done = call("exec", "--all", "--", "sh", "-c", "printf '%s' unfinished", env={"DEAD": "one"})
    assert (done.code, done.out) == (255, "two | unfinished\n")
    assert done.err == "one | ssh: connect to host one: no route\n"


def test_they_run_at_the_same_time(up: UpLab, tmp_path: Path) -> None:
    """Each waits for a file of the other's."""
    script = (
        f"cd {tmp_path}; touch met.$NODE; while [ ! -e met.one ] || [ ! -e met.two ]; do sleep 0.05; done"
    )
    assert call("exec", "--all", "--", "sh", "-c", script, timeout_s=30).code == 0


def test_ctrl_c_ends_what_runs_everywhere(up: UpLab, tmp_path: Path) -> None:
    script = f"echo $$ >{tmp_path}/pid.$NODE; exec sleep 60"
    with subprocess.Popen([LAB, "exec", "--all", "--", "sh", "-c", script], stderr=subprocess.PIPE) as child:
        wait_for(lambda: all((tmp_path / f"pid.{node}").is_file() for node in ("one", "two")))
        pids = [int((tmp_path / f"pid.{node}").read_text()) for node in ("one", "two")]
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == ExitCode.INTERRUPTED
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def wait_for(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)


# logs


@pytest.fixture
def talking(up: UpLab, tmp_path: Path) -> UpLab:
    """A lab whose guests have said something."""
    (tmp_path / "one.log").write_bytes(b"Linux version 6.12\r\nready\r\n")
    (tmp_path / "two.log").write_bytes(b"panic")
    write_guests(up.directory, {name: files_of(tmp_path / f"{name}.log") for name in ("one", "two")})
    write_events(
        up.directory,
        [Event(0, "note", {"text": "early"}), Event(12_345_000_000, "ready", {"node": "one", "boot_s": 2.5})],
    )
    return up


def files_of(console: Path) -> GuestFiles:
    return GuestFiles(GuestPaths("k", "i", "r", str(console), "s", "quiet"), "pid", "stream")


def test_consoles_are_printed_after_their_nodes(talking: UpLab) -> None:
    done = call("logs")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line for line in lines if line.startswith("one")] == ["one | Linux version 6.12", "one | ready"]
    assert "two | panic" in lines
    assert call("logs", "one", "-n", "1").out == "ready\n"


def test_a_console_is_followed_until_ctrl_c(talking: UpLab, tmp_path: Path) -> None:
    with subprocess.Popen(
        [LAB, "logs", "-f", "one"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(2)] == [b"Linux version 6.12\n", b"ready\n"]
        with (tmp_path / "one.log").open("ab") as console:
            console.write(b"BUG: oops\r\n")
        assert child.stdout.readline() == b"BUG: oops\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == ExitCode.INTERRUPTED


def test_kernel_logs_come_from_the_guests(talking: UpLab, ssh: Path) -> None:
    write_program(ssh / "dmesg", '#!/bin/sh\necho "[    0.000000] booted $NODE"\n')
    assert sorted(call("logs", "--kernel").out.splitlines()) == [
        "one | [    0.000000] booted one",
        "two | [    0.000000] booted two",
    ]


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (b"6,339,5140900,-;NET: Registered; x", b"[    5.140900] NET: Registered; x"),
        (b"4,340,1000000123,c,caller=T1;tail", b"[ 1000.000123] tail"),
        (b" SUBSYSTEM=acpi", b" SUBSYSTEM=acpi"),
    ],
)
def test_records_of_the_kernels_log_read_as_dmesg_has_them(record: bytes, line: bytes) -> None:
    assert kmsg_line(record) == line


def test_events_of_coming_up_are_told(talking: UpLab) -> None:
    assert call("logs", "--events").out.splitlines() == [
        "              note          text early",
        "    12.345 s  ready         node one, boot_s 2.5",
    ]


def test_an_event_leaves_out_what_is_empty() -> None:
    event = Event(1_500_000_000, "knob", {"node": "one", "old": "", "new": "1", "generation": None})
    assert event_line(event) == "     1.500 s  knob          node one, new 1"


def test_a_recording_has_consoles_and_events_too(lab: Driver, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "r")
    (recording / "guests/two/console.log").write_text("hello\nworld\n")
    assert lab("logs", "--recording", recording).out == "two | hello\ntwo | world\n"
    assert lab("logs", "two", "-n1", "--recording", recording).out == "world\n"
    assert "phase contended" in lab("logs", "--events", "--recording", recording).out
    assert lab("logs", "--recording", recording, "-f").code == ExitCode.BAD_INPUT
    assert "no node fits three (it has: one, two)" in lab("logs", "three", "--recording", recording).err
    assert lab("logs", "--recording", tmp_path / "nothing").code == ExitCode.BAD_INPUT


def test_formats_of_logs_that_cannot_be_together(lab: Driver, up: UpLab) -> None:
    for options in (("--kernel", "--events"), ("--kernel", "-f", "-n", "1"), ("--events", "-f")):
        assert lab("logs", *options).code == ExitCode.BAD_INPUT


# console

VIRSH = """\
#!/bin/sh
# Stands in for virsh: a raw terminal until a line comes.
stty raw -echo
echo "arguments: $*"
[ -n "${HANG:-}" ] && { echo $$ >"$HANG"; exec sleep 60; }
head -c 1 >/dev/null
exit 3
"""


class OnTerminal:
    """`lab` on a terminal of its own."""

    def __init__(self, *args: str, **env: str) -> None:
        self.terminal, self._inside = pty.openpty()
        fcntl.ioctl(self._inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self._inside)
        self.child = subprocess.Popen(
            [LAB, *args],
            stdin=self._inside,
            stdout=self._inside,
            stderr=self._inside,
            env={**os.environ, **env},
            start_new_session=True,
        )

    def read_until(self, text: bytes, seconds: float = 20) -> bytes:
        said, deadline = b"", time.monotonic() + seconds
        while text not in said:
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, said
            said += os.read(self.terminal, 4096)
        return said

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._inside)

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self.terminal)
        os.close(self._inside)


def test_a_console_is_virsh_on_the_host_and_the_terminal_is_as_before(up: UpLab, ssh: Path) -> None:
    write_program(ssh / "virsh", VIRSH)
    there = OnTerminal("console", "one", "--no-shell", "--force")
    try:
        said = there.read_until(b"--force")
        assert b"console of one; Ctrl-] leaves it" in said
        domain = PLAN.node("one").domain
        assert f"arguments: --quiet --connect qemu:///system console {domain} --force".encode() in said
        assert there.settings() != there.before
        os.write(there.terminal, b"x")
        assert there.child.wait(20) == 3
        assert there.settings() == there.before
        assert b"left the console of one" in there.read_until(b"console of one")
    finally:
        there.close()


def test_the_terminal_is_put_back_when_the_lab_is_told_to_end(up: UpLab, ssh: Path, tmp_path: Path) -> None:
    write_program(ssh / "virsh", VIRSH)
    there = OnTerminal("console", "one", "--no-shell", HANG=str(tmp_path / "pid"))
    try:
        wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text().strip())
        assert there.settings() != there.before
        there.child.send_signal(signal.SIGTERM)
        assert there.child.wait(20) == ExitCode.INTERRUPTED
        assert there.settings() == there.before
        pid = int((tmp_path / "pid").read_text())
        wait_for(lambda: not Path(f"/proc/{pid}").exists())
    finally:
        there.close()


def test_a_console_needs_a_terminal(up: UpLab) -> None:
    done = call("console", "one")
    assert done.code == ExitCode.BAD_INPUT
    assert "lab logs -f one" in done.err
    assert call("console", "three").code == ExitCode.BAD_INPUT


def test_the_console_of_a_host_vm_goes_through_it(lab: Driver) -> None:
    from types import SimpleNamespace

    from lab.cli.console import console_command
    from lab.cli.desk import make_desk
    from lab.cli.running import find_running

    UpLab(lab, where="nested")
    wiring = SimpleNamespace(host_vm=SimpleNamespace(ssh_config=Path("/there/config")))
    desk = make_desk(lambda *_: wiring)  # type: ignore[arg-type,return-value]
    words = console_command(desk, find_running(desk, None), "one")
    assert words[:-1] == ["ssh", "-F", "/there/config", "-t", "-e", "none", "lab-host"]
    virsh = f"virsh --quiet --connect qemu:///system console {PLAN.node('one').domain}"
    assert words[-1] == f"""sh -c 'mkdir -p /run/lock && exec "$@"' sh {virsh}"""


# status


def test_status_is_shown_again_and_again_until_ctrl_c(up: UpLab) -> None:
    argv = [LAB, "status", "--watch", "--json", "--interval", "0.1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        first, second = (json.loads(child.stdout.readline()) for _ in range(2))
        up.records.update(up.record, LabState.ENDING)
        assert [first[0]["state"], second[0]["state"]] == ["up", "up"]
        while json.loads(child.stdout.readline())[0]["state"] == "up":
            pass
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == ExitCode.INTERRUPTED


# completion


def offered(line: str, **env: str) -> list[str]:
    """What bash would be offered for the last word of `line`."""
    words = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "_LAB_COMPLETE": "complete_bash",
    }
    return call(env={**words, **env}).out.split()


def test_verbs_nodes_and_labs_are_completed(lab: Driver, up: UpLab) -> None:
    assert {"exec", "export", "explain"} >= set(offered("lab ex")) >= {"exec", "export"}
    assert offered("lab ssh ") == ["one", "two"]
    assert offered("lab ssh t") == ["two"]
    assert offered("lab exec o") == ["one"]
    assert offered("lab exec one o") == []
    assert offered("lab down ") == ["pair"]
    assert offered("lab console --lab p") == ["pair"]
    assert offered("lab ssh --lab pair ") == ["one", "two"]
    assert offered("lab ssh --lab other ") == []
    assert complete_labs("x") == []


def test_a_damaged_lab_completes_nothing(lab: Driver, up: UpLab) -> None:
    (up.directory / "plan.json").write_text("{")
    assert offered("lab ssh ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(lab: Driver, shell: str) -> None:
    done = lab("completion", shell)
    assert done.code == 0
    assert "_LAB_COMPLETE" in done.out


def test_bash_takes_the_script(lab: Driver, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(lab("completion", "bash").out)
    words = "COMP_WORDS=(lab stat); COMP_CWORD=1"
    asking = f". {tmp_path}/script; {words}; _lab_completion lab; echo ${{COMPREPLY[@]}}"
    env = {**os.environ, "PATH": f"{LAB.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", asking], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["status"]
