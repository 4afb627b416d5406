# SPDX-License-Identifier: GPL-2.0-only
"""pvtrace on a fake machine, and the scripts that start and stop it (lab/run/trace_*.sh)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from lab.run.ports import CommandResult
from lab.units import parse_cpulist

_SCRIPTS = {
    files("lab.run").joinpath(name).read_text(): name
    for name in ("trace_start.sh", "trace_stop.sh", "trace_threads.sh")
}
#: What its raw files hold.
PAGE = bytes(range(256)) * 16
#: How a machine's recorder ends that cannot start there, by what is wrong with it: status and words.
REFUSALS = {"no tracefs": (1, "pvtrace: tracefs: No such device\n"), "no events": (3, "")}


@dataclass
class FakeTracing:
    """One machine's recorders: those that run, by directory, and the words that each was started with.

    `problem` is one of REFUSALS; with `dies` a recorder is gone before it is stopped.
    """

    files: dict[str, bytearray]
    running: dict[str, Sequence[str]] = field(default_factory=dict)
    problem: str | None = None
    dies: bool = False
    started: list[Sequence[str]] = field(default_factory=list)
    instances_cleaned: int = 0

    def script(self, text: str, words: list[str]) -> CommandResult:
        """One of the scripts with its words."""
        scripts: dict[str, Callable[[list[str]], CommandResult]] = {
            "trace_start.sh": self._start,
            "trace_stop.sh": self._stop,
            "trace_threads.sh": self._threads,
        }
        return scripts[_SCRIPTS[text]](words)

    def clean(self) -> CommandResult:
        """`pvtrace clean`."""
        self.instances_cleaned += 1
        return CommandResult(0, "", "")

    def _start(self, words: list[str]) -> CommandResult:
        if self.problem is not None:
            status, said = REFUSALS[self.problem]
            return CommandResult(status, "", said)
        directory = words[1]
        options = dict(word.partition("=")[::2] for word in words if "=" in word)
        if "pids" in options and not self.files[options["pids"]]:
            return CommandResult(1, "", f"pvtrace: {options['pids']}: no thread in it\n")
        self.started.append(words)
        self.running[directory] = words
        self.files[f"{directory}/pid"] = bytearray(b"4242\n")
        self.files[f"{directory}/said"] = bytearray(b"ready 1\n")
        return CommandResult(0, "", "")

    def _stop(self, words: list[str]) -> CommandResult:
        """Without words that name a directory: all below the one that they are a pattern of."""
        named = [one for word in words for one in self.running if one == word or _matches(one, word)]
        ends = [self._end(directory) for directory in named]
        return CommandResult(0 if all(ends) else 1, "" if all(ends) else "pvtrace: killed\n", "")

    def _end(self, directory: str) -> bool:
        words = self.running.pop(directory)
        if self.dies:
            return False
        cpus = next(word.removeprefix("cpus=") for word in words if word.startswith("cpus="))
        about = f"version 1\nclock mono\ncpus {cpus}\n"
        self.files[f"{directory}/about"] = bytearray(about.encode())
        self.files[f"{directory}/formats"] = bytearray(b"== names 0\n")
        for number in parse_cpulist(cpus):
            self.files[f"{directory}/cpu{number}.raw"] = bytearray(PAGE)
        return True

    def _threads(self, words: list[str]) -> CommandResult:
        """The first thread of every process whose file is there."""
        directory, processes = words[0], zip(words[1::3], words[2::3], words[3::3], strict=True)
        told = [
            (bytes(self.files[path]).decode().strip(), name, "emulator" if kind == "guest" else "main")
            for kind, name, path in processes
            if path in self.files
        ]
        self.files[f"{directory}/threads"] = bytearray("".join(f"{t} {n} {r}\n" for t, n, r in told).encode())
        self.files[f"{directory}/pids"] = bytearray("".join(f"{tid}\n" for tid, _, _ in told).encode())
        self.files[f"{directory}/offsets"] = bytearray(b"")
        return CommandResult(0, "", "")


def _matches(directory: str, word: str) -> bool:
    return word.endswith("/*") and directory.startswith(word[:-1])
