# SPDX-License-Identifier: GPL-2.0-only
"""`lab console`: a guest's console on this terminal."""

from __future__ import annotations

import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import LabOption, NodeArgument
from lab.errors import HostError, InputError

if TYPE_CHECKING:
    from lab.cli.running import RunningLab

#: What leaves a console, as virsh(1) and telnet(1) have it.
ESCAPE = "Ctrl-]"
#: For as long as a guest may take to put a shell on its console. One that hangs never does.
_SHELL_S = 30


def console(
    ctx: typer.Context,
    node: NodeArgument,
    force: Annotated[
        bool, typer.Option("--force", help="Take it over from another who has it open.")
    ] = False,
    shell: Annotated[
        bool, typer.Option(help="Put a shell on the console first, over ssh, unless there is one.")
    ] = True,
    lab: LabOption = None,
) -> int:
    """Open a guest's console on this terminal.

    Ctrl-] leaves it. What the guest said before is in `lab logs NODE`. The shell on the console stays when you
    leave it; a guest that does not answer ssh any more gets none, but its kernel still prints there.
    """
    from lab.cli.running import find_running

    desk = desk_of(ctx)
    running = find_running(desk, lab)
    running.check_node(node)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "lab console: standard input and output must be a terminal",
            f"`lab logs -f {node}` follows the console",
        )
    if shell:
        _put_shell(desk, running, node)
    desk.terminal.error(f"lab: console of {node}; {ESCAPE} leaves it")
    with terminal_kept(sys.stdin.fileno()):
        code = _run(console_command(desk, running, node, force))
    desk.terminal.error(f"\nlab: left the console of {node}")
    return code


def console_command(desk: Desk, running: RunningLab, node: str, force: bool = False) -> list[str]:
    """virsh on the lab's host: libvirt hands the console out, to one at a time."""
    from lab.cli.running import terminal_on_host

    words = ["virsh", "--quiet", "--connect", "qemu:///system", "console", running.plan.node(node).domain]
    words += ["--force"] if force else []
    if running.record.where == "nested":
        # libvirt locks a terminal by a file, and a host VM begins without the directory.
        words = ["sh", "-c", 'mkdir -p /run/lock && exec "$@"', "sh", *words]
    return terminal_on_host(desk, running, words)


@contextmanager
def terminal_kept(terminal: int) -> Iterator[None]:
    """Whatever is done to the terminal inside, and however that ends, its settings are afterwards as they were."""
    settings = termios.tcgetattr(terminal)
    try:
        yield
    finally:
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(terminal, termios.TCSADRAIN, settings)


def _put_shell(desk: Desk, running: RunningLab, node: str) -> None:
    from lab.cli.running import machine_command

    script = files("lab.cli").joinpath("console_shell.sh").read_text()
    argv = machine_command(desk, running, node, script)
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SHELL_S, check=False
        )
        reason = "" if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_SHELL_S} s"
    except FileNotFoundError:
        reason = "ssh is not installed"
    if reason:
        desk.terminal.say(f"no shell on the console of {node}: {reason}")


def _run(argv: Sequence[str]) -> int:
    try:
        return subprocess.run(argv, check=False).returncode
    except FileNotFoundError:
        package = "libvirt-clients" if argv[0] == "virsh" else "openssh-client"
        raise HostError(f"{argv[0]} is not installed", f"apt-get install {package}") from None
