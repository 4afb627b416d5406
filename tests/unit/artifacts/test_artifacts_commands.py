# SPDX-License-Identifier: GPL-2.0-only
"""The real door to processes: what a failure says, and that nothing outlives a call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.adapters.commands import ProcessCommands, base_environment, render_command
from lab.errors import CommandFailed, HostError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def ends_soon(pid: int) -> bool:
    """A killed process that is nobody's child any more takes a moment to go."""
    end = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_running(pid)


def test_everything_goes_to_the_log(log: Path):
    log.write_text("before\n")
    ProcessCommands().run(["sh", "-c", "echo out; echo err >&2"], what="talking", log=log, timeout_s=10)
    assert log.read_text() == "before\n$ sh -c 'echo out; echo err >&2'\nout\nerr\n"


def test_a_failure_has_what_command_status_and_its_own_tail(log: Path, tmp_path: Path):
    log.write_text("of another command\n")
    argv = ["sh", "-c", "seq 100; exit 7"]
    with pytest.raises(CommandFailed) as caught:
        ProcessCommands().run(argv, what="counting", log=log, cwd=tmp_path, env={"A": "b c"}, timeout_s=10)
    said = caught.value.message
    assert said.startswith("counting: the command exited with status 7:")
    assert f"cd {tmp_path} && A='b c' sh -c 'seq 100; exit 7'" in said
    assert said.endswith("\n99\n100")
    assert "another" not in said
    assert "\n50\n" not in said
    assert str(log) in (caught.value.hint or "")


def test_a_rendered_command_can_be_pasted(log: Path, tmp_path: Path):
    text = render_command(["sh", "-c", 'echo "$X" > y'], tmp_path, {"X": "it's"})
    ProcessCommands().run(["sh", "-c", text], what="pasting", log=log, timeout_s=10)
    assert (tmp_path / "y").read_text() == "it's\n"


def test_a_command_that_takes_too_long_is_killed_with_its_children(log: Path, tmp_path: Path):
    script = f"sleep 300 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(CommandFailed, match=r"did not end within 0\.5 s"):
        ProcessCommands().run(["sh", "-c", script], what="sleeping", log=log, timeout_s=0.5)
    assert ends_soon(int((tmp_path / "pid").read_text()))


def test_an_interrupt_kills_the_whole_group(log: Path, tmp_path: Path):
    def interrupt() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    script = f"sleep 300 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(KeyboardInterrupt):
        ProcessCommands().run(["sh", "-c", script], what="s", log=log, timeout_s=30, watch=interrupt)
    assert ends_soon(int((tmp_path / "pid").read_text()))


def test_a_caller_that_is_killed_takes_its_commands_along(tmp_path: Path):
    script = f"sleep 300 & echo $! > {tmp_path}/pid; wait"
    program = (
        "import sys; from pathlib import Path; from lab.adapters.commands import ProcessCommands\n"
        f"ProcessCommands().run(['sh', '-c', {script!r}], what='s', log=Path(sys.argv[1]), timeout_s=99)"
    )
    caller = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "log")])
    pid_file = tmp_path / "pid"
    end = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < end:
        time.sleep(0.02)
    assert is_running(int(pid_file.read_text()))
    caller.kill()
    caller.wait(10)
    assert ends_soon(int(pid_file.read_text()))


def test_death_by_a_signal_is_named(log: Path):
    with pytest.raises(CommandFailed, match="was killed by signal SIGTERM"):
        ProcessCommands().run(["sh", "-c", "kill -TERM $$"], what="dying", log=log, timeout_s=10)


def test_watch_is_called_while_the_command_runs(log: Path):
    seen: list[float] = []
    ProcessCommands().run(
        ["sleep", "1.5"], what="s", log=log, timeout_s=10, watch=lambda: seen.append(time.monotonic())
    )
    assert 2 <= len(seen) <= 3


def test_output_is_standard_output_only_and_errors_explain_a_failure():
    commands = ProcessCommands()
    assert commands.output(["sh", "-c", "echo out; echo err >&2"], what="x") == "out\n"
    with pytest.raises(CommandFailed, match=r"status 3:(.|\n)*because"):
        commands.output(["sh", "-c", "echo because >&2; exit 3"], what="x")
    with pytest.raises(CommandFailed, match="did not end"):
        commands.output(["sleep", "60"], what="x", timeout_s=0.2)


def test_a_missing_program_is_the_hosts_fault(log: Path):
    with pytest.raises(HostError, match="no-such-program is not installed"):
        ProcessCommands().run(["no-such-program"], what="x", log=log, timeout_s=1)


def test_only_chosen_variables_reach_a_command():
    commands = ProcessCommands({"PATH": os.environ["PATH"], "CFLAGS": "-O0", "http_proxy": "p"})
    names = {line.split("=")[0] for line in commands.output(["env"], what="x", env={"B": "c"}).splitlines()}
    assert {"PATH", "LC_ALL", "http_proxy", "B"} <= names
    assert "CFLAGS" not in names
    assert base_environment({})["PATH"].endswith("/sbin")


def test_the_caller_keeps_its_own_signals():
    ProcessCommands().output(["true"], what="x")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
