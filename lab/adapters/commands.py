# SPDX-License-Identifier: GPL-2.0-only
"""Programs of this machine, run to their end: the one door through which builds start processes."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
    """Commands as processes, each in a process group that outlives neither the call nor this process."""

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
            with self._started(argv, what, cwd, env, sink.fileno(), subprocess.STDOUT) as process:
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
        stdout, stderr, status = b"", b"", None
        with (
            self._started(argv, what, cwd, env, subprocess.PIPE, subprocess.PIPE) as process,
            contextlib.suppress(subprocess.TimeoutExpired),
        ):
            stdout, stderr = process.communicate(timeout=timeout_s)
            status = process.returncode
        if status != 0:
            text = stderr.decode(errors="replace")
            raise _failed(what, render_command(argv, cwd, env), status, timeout_s, text, None)
        return stdout.decode(errors="replace")

    @contextmanager
    def _started(
        self,
        argv: Arguments,
        what: str,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        stdout: int,
        stderr: int,
    ) -> Iterator[subprocess.Popen[bytes]]:
        with _open_process_group() as group:
            try:
                process = subprocess.Popen(
                    [str(word) for word in argv],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=cwd,
                    env={**self._base, **(env or {})},
                    process_group=group,
                )
            except FileNotFoundError:
                raise HostError(
                    f"{what}: the program {argv[0]} is not installed", "`lab doctor` says what is missing"
                ) from None
            except OSError as error:
                raise HostError(f"{what}: cannot start {argv[0]}: {error.strerror}") from None
            try:
                yield process
            finally:
                os.killpg(group, signal.SIGKILL)
                _reap(process)


@contextmanager
def _open_process_group() -> Iterator[int]:
    """A process group that is killed when the block ends, or when this process ends in whatever way.

    Its leader holds the reading end of a pipe whose only writer is this process: end of file means that
    this process is gone, and then the leader kills the group, itself included.
    """
    reader, writer = os.pipe()
    try:
        leader = subprocess.Popen(
            ["/bin/sh", "-c", "read -r _; kill -KILL 0"],
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    finally:
        os.close(reader)
    try:
        yield leader.pid
    finally:
        os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()
        os.close(writer)


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _wait(process: subprocess.Popen[bytes], timeout_s: float, watch: Callable[[], None] | None) -> int | None:
    """The exit status, or None when the time was up."""
    end = time.monotonic() + timeout_s
    next_watch = 0.0
    while process.poll() is None:
        if time.monotonic() > end:
            return None
        if watch and time.monotonic() >= next_watch:
            watch()
            next_watch = time.monotonic() + _WATCH_S
        time.sleep(_POLL_S)
    return process.returncode


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
