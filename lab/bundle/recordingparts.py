# SPDX-License-Identifier: GPL-2.0-only
"""Brings the recording itself into a bundle.

Only what a recording is known to have goes in: whatever else lies in its directory (a report, a crash dump with all
of a guest's memory) is the user's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lab.bundle.layout import KernelLayout
from lab.bundle.manifest import RECORDING, Part
from lab.bundle.pseudonyms import Pseudonyms
from lab.bundle.redact import Redactor
from lab.bundle.resolved import resolve_plan
from lab.bundle.stage import Stage
from lab.plan.labplan import LabPlan, parse_plan_json, render_plan_json

_TRACES = r"traces/[^/]+/(?:cpu\d+\.raw|formats|about|threads|offsets)"
_GUEST = (
    r"(?:boots/\d+/)?(?:probe\.stream|console\.log|domain\.xml)|lost/\d+/console\.log"
    rf"|loads/[^/]+/\d+\.(?:out|status)|{_TRACES}"
)
_KNOWN = re.compile(
    r"(?:lost/\d+/)?(?:recording\.json|plan\.json|topology\.yaml|events\.jsonl|kvmstats\.jsonl|decoded\.json"
    r"|series/(?:[^/]+/)*[^/]+"
    rf"|host/(?:probe\.stream|outer\.stream|console\.log|{_TRACES})|guests/[^/]+/(?:{_GUEST}))"
)
#: Made anew from the rest, here or by whoever reads it.
_DERIVED = re.compile(r"(?:lost/\d+/)?(?:verdicts\.json|metrics\.json|report\.html)")
#: Goes into a bundle as inputs of its topology.
_INPUTS = re.compile(r"(?:lost/\d+/)?(?:definitions|kernels)/.*")
_HOST_STREAM = re.compile(r"(?:lost/\d+/)?host/(?:probe|outer)\.stream")
_HOST_TRACE = re.compile(r"(?:lost/\d+/)?host/traces/[^/]+/(?:cpu\d+\.raw|formats)")
#: Numbers, and what the lab's own guests say: nothing of the host is in them, and other files count their bytes.
_AS_IT_IS = re.compile(
    r"(?:lost/\d+/)?(?:guests/.*/probe\.stream|guests/.*/traces/.*|kvmstats\.jsonl)"
    r"|(?:lost/\d+/)?series/.*(?<!\.json)"
)


class RecordingAdder:
    """Adds one recording. `redactor` is None where nothing is to be redacted."""

    def __init__(
        self, stage: Stage, plan: LabPlan, redactor: Redactor | None, kernels: Mapping[str, KernelLayout]
    ) -> None:
        self._stage = stage
        self._plan = plan
        self._redactor = redactor
        self._kernels = kernels
        self._own_host = plan.host.where == "nested"
        self._pseudonyms = Pseudonyms()

    def add(self, directory: Path) -> None:
        """Everything of the recording in `directory` that is known and wanted."""
        files = {
            path.relative_to(directory).as_posix(): path
            for path in directory.rglob("*")
            if path.is_file() and not path.is_symlink()
        }
        for name in sorted(files):
            if _KNOWN.fullmatch(name):
                if self._is_wanted(name):
                    self._add_file(name, files[name])
            elif not _DERIVED.fullmatch(name) and not _INPUTS.fullmatch(name):
                self._stage.lack(f"{RECORDING}/{name}", "it is not known as a part of a recording")

    def _is_wanted(self, name: str) -> bool:
        parts: tuple[tuple[Part, bool, str], ...] = (
            ("lost", name.startswith("lost/"), "attempts that were lost"),
            ("traces", "/traces/" in name, "traces"),
            ("consoles", name.endswith("console.log"), "consoles"),
        )
        return all(self._stage.wants(part, what) for part, concerned, what in parts if concerned)

    def _add_file(self, name: str, path: Path) -> None:
        member = f"{RECORDING}/{name}"
        if self._redactor is None or _AS_IT_IS.fullmatch(name):
            self._stage.copy(member, path)
        elif name.endswith("plan.json"):
            self._add_plan(member, path)
        elif _HOST_STREAM.fullmatch(name) and not self._own_host:
            self._stage.write(member, self._redactor.apply(self._pseudonyms.redact_stream(path.read_bytes())))
        elif _HOST_TRACE.fullmatch(name) and not self._own_host:
            self._add_host_trace(member, path)
        elif path.suffix == ".raw" or path.name == "formats":
            self._stage.copy(member, path)
        else:
            self._stage.write(member, self._redactor.apply(path.read_bytes()))

    def _add_host_trace(self, member: str, path: Path) -> None:
        """A file of a trace of a host that is not the lab's own."""
        from lab.bundle.redacttrace import keep_threads, redact_formats, redact_trace
        from lab.trace.about import parse_about

        data, names = path.read_bytes(), self._pseudonyms
        formats, threads, about = (_read(path.with_name(name)) for name in ("formats", "threads", "about"))
        keep_threads(threads, formats, names)
        made = (
            redact_formats(data, names)
            if path.name == "formats"
            else redact_trace(data, formats, parse_about(about).page_size, names)
        )
        if made is None:
            self._stage.lack(
                member, "not all names of processes in it could be replaced; --no-redact keeps it"
            )
        else:
            self._stage.write(member, made)

    def _add_plan(self, member: str, path: Path) -> None:
        assert self._redactor is not None
        try:
            plan = resolve_plan(parse_plan_json(path.read_bytes()), self._kernels)
        except (ValueError, KeyError):
            self._stage.lack(member, "it cannot be read as a plan")
            return
        self._stage.write(member, self._redactor.apply(render_plan_json(plan).encode()))


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
