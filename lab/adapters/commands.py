# SPDX-License-Identifier: GPL-2.0-only
"""Programs of this machine, run to their end: the one door through which builds start processes."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.artifacts.ports import Arguments
from lab.errors import CommandFailed, HostError

#: What a build may see of the caller's environment; all else could make a build differ between two shells.
_INHERITED = ("PATH", "HOME", "TMPDIR", "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_TAIL_LINES = 20
_POLL_S = 0.05
_WATCH_S = 1.0


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment every command gets, out of the caller's: PATH and proxies, and the C locale."""
    wanted = {*_INHERITED, *(name.upper() for name in _INHERITED)}
    kept = {name: value for name, value in environ.items() if name in wanted}
    sbin = "/usr/local/sbin:/usr/sbin:/sbin"
    return {**kept, "PATH": f"{kept.get('PATH', '/usr/local/bin:/usr/bin:/bin')}:{sbin}", "LC_ALL": "C.UTF-8"}


def render_command(argv: Arguments, cwd: Path | None, env: Mapping[str, str] | None) -> str:
    """A line for a shell that repeats the command."""
    where = f"cd {shlex.quote(str(cwd))} && " if cwd else ""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in (env or {}).items())
    return where + variables + shlex.join(str(word) for word in argv)


class ProcessCommands:
    """Commands as processes, each in its own process group, which does not outlive the call."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._base = base_environment(os.environ if environ is None else environ)

    def run(
        self,
        argv: Arguments,
        *,
        what: str,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float,
        watch: Callable[[], None] | None = None,
    ) -> None:
        """Run `argv` with all output appended to `log`; see `lab.artifacts.ports.Commands`."""
        command = render_command(argv, cwd, env)
        with log.open("ab") as sink:
            sink.write(f"$ {command}\n".encode())
            sink.flush()
            start = sink.tell()
            process = self._start(argv, what, cwd, env, sink.fileno(), subprocess.STDOUT)
            status = _wait(process, timeout_s, watch)
        if status != 0:
            raise _failed(what, command, status, timeout_s, _text_from(log, start), log)

    def output(
        self,
        argv: Arguments,
        *,
        what: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> str:
        """What `argv` writes to its standard output; see `lab.artifacts.ports.Commands`."""
        process = self._start(argv, what, cwd, env, subprocess.PIPE, subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end_group(process)
        if status != 0:
            text = "" if status is None else stderr.decode(errors="replace")
            raise _failed(what, render_command(argv, cwd, env), status, timeout_s, text, None)
        return stdout.decode(errors="replace")

    def _start(
        self,
        argv: Arguments,
        what: str,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        stdout: int,
        stderr: int,
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env={**self._base, **(env or {})},
                process_group=0,
            )
        except FileNotFoundError:
            raise HostError(
                f"{what}: the program {argv[0]} is not installed", "run `lab doctor` to see what is missing"
            ) from None
        except OSError as error:
            raise HostError(f"{what}: cannot start {argv[0]}: {error.strerror}") from None


def _wait(process: subprocess.Popen[bytes], timeout_s: float, watch: Callable[[], None] | None) -> int | None:
    """The exit status, or None when the time was up. Nothing of the process group is left either way."""
    end = time.monotonic() + timeout_s
    next_watch = 0.0
    try:
        while process.poll() is None:
            if time.monotonic() > end:
                return None
            if watch and time.monotonic() >= next_watch:
                watch()
                next_watch = time.monotonic() + _WATCH_S
            time.sleep(_POLL_S)
        return process.returncode
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group and reap its leader."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _text_from(log: Path, start: int) -> str:
    with log.open("rb") as source:
        source.seek(start)
        return source.read().decode(errors="replace")


def _failed(
    what: str, command: str, status: int | None, timeout_s: float, text: str, log: Path | None
) -> CommandFailed:
    ended = f"did not end within {timeout_s:g} s" if status is None else _describe(status)
    tail = "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])
    message = f"{what}: the command {ended}:\n  {command}" + (f"\n{tail}" if tail else "")
    return CommandFailed(message, hint=f"the whole log is {log}" if log else None)


def _describe(status: int) -> str:
    if status < 0:
        return f"was killed by signal {signal.Signals(-status).name}"
    return f"exited with status {status}"
