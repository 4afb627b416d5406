# SPDX-License-Identifier: GPL-2.0-only
"""A whole run: lab up, phases, everything fetched into a recording, lab down."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import __version__
from lab.errors import CommandFailed, GuestLost, GuestPanicked, HostLost, LabError, Lost
from lab.plan.labplan import LabPlan
from lab.recording import ABOUT_FILE, KEPT_NAMES, RecordingWriter
from lab.run.events import Journal
from lab.run.lab import Lab, Surroundings, open_lab
from lab.run.labknobs import host_knobs_restored
from lab.run.loads import fetch_unfinished
from lab.run.phases import NEWS_S, PhaseRunner
from lab.run.ports import Host, Narrator

#: In a lab's own directory: the path of the recording that is being made of it.
RECORDING_POINTER = "recording"
#: Whole runs before the lab gives up on an environment that keeps losing guests or the host.
RUN_ATTEMPTS = 3

#: Opens a host, makes the plan for it and builds what that needs. Called anew for every attempt: a lost host VM is
#: started again by it, and what was built is found again.
OpenHost = Callable[[], AbstractContextManager[tuple[Host, LabPlan, Surroundings]]]


def run_experiment(open_host: OpenHost, narrator: Narrator, topology_text: str, directory: Path) -> None:
    """Carry a topology's phases out and leave a recording in `directory`.

    A lost guest or host is an environment failure: the run is tried again, a bounded number of times, and the
    recording says so. What a lost attempt recorded is kept under `lost/N`. A guest whose kernel panicked of its own
    doing is none: the run ends there, and its recording is there to be judged. Raises GuestPanicked where that was
    before there was a recording, the last Lost, or any other LabError at once.
    """
    journal = Journal()
    for attempt in range(1, RUN_ATTEMPTS + 1):
        try:
            with open_host() as (host, plan, around):
                _run_once(host, plan, around, journal, topology_text, directory)
            return
        except GuestPanicked as error:
            if not (directory / ABOUT_FILE).exists():
                raise
            narrator.say(f"{_first_line(error)}: the run ends")
            return
        except Lost as error:
            if attempt == RUN_ATTEMPTS:
                raise
            first = error.message.splitlines()[0]
            narrator.say(f"{first}: running again")
            journal = _journal_of_retry(journal, first, attempt)
            _put_aside(directory, attempt)


def _run_once(
    host: Host, plan: LabPlan, around: Surroundings, journal: Journal, topology_text: str, directory: Path
) -> None:
    with (
        open_lab(host, plan, around, journal) as lab,
        open_recording(lab, topology_text, directory) as writer,
        host_knobs_restored(lab, around.narrator),
    ):
        PhaseRunner(
            lab, around.narrator, writer.kvm_stats, writer.load_path, writer.trace_directory
        ).run_all()


@contextmanager
def open_recording(lab: Lab, topology_text: str, directory: Path) -> Iterator[RecordingWriter]:
    """A recording of a running lab: the journal goes into it, and the streams are fetched at its end."""
    with RecordingWriter(directory, lab.plan, topology_text, describe(lab)) as writer:
        for name in lab.files:
            writer.guest_path(name, "domain.xml").write_text(lab.boot.domain_xml(name))
        lab.journal.attach(writer.event)
        (lab.directory / RECORDING_POINTER).write_text(f"{directory.resolve()}\n")
        try:
            yield writer
        except BaseException as error:
            panic = _panic_behind(lab, error)
            _fetch_what_is_left(lab, writer)
            # Guests that may be gone would be waited for, and who interrupts does not want to wait at all.
            if isinstance(error, LabError) and not isinstance(error, Lost):
                fetch_unfinished(lab, writer.load_path)
            if panic is not None:
                raise panic from error
            raise
        else:
            fetch_streams(lab, writer)
        finally:
            lab.journal.detach()


def _panic_behind(lab: Lab, error: BaseException) -> GuestPanicked | None:
    """The panic that a lost connection to a guest, or the end of its emulator, comes of; None where there is none.
    That a guest was lost is written down."""
    if not isinstance(error, GuestLost):
        return None
    panic = error if isinstance(error, GuestPanicked) else None
    try:
        with suppress(HostLost):
            lab.watch.next_change(NEWS_S)
            lab.watch.raise_panics()
    except GuestPanicked as found:
        panic = panic or found
    reason = _first_line(panic or error)
    lab.journal.add(0, "lost", what="guest", reason=reason)
    return panic


def _first_line(error: Lost) -> str:
    return error.message.splitlines()[0].removesuffix("; its console ends:")


def fetch_streams(lab: Lab, writer: RecordingWriter) -> None:
    """Bring everything that the probes and consoles said so far into the recording; a missing file is left out.

    Raises HostLost: a recording without its streams decides nothing.
    """
    _flush_probes(lab)
    _fetch_files(lab, writer)


def _fetch_what_is_left(lab: Lab, writer: RecordingWriter) -> None:
    """The same after something failed, which is what is to be told then."""
    with suppress(LabError):
        _flush_probes(lab)
    with suppress(LabError):
        _fetch_files(lab, writer)


def _flush_probes(lab: Lab) -> None:
    lab.watch.mark("fetch")
    lab.watch.mark_outside("fetch")


def _fetch_files(lab: Lab, writer: RecordingWriter) -> None:
    _fetch(lab, f"{lab.record.remote_dir}/host.stream", writer.host_path("probe.stream"))
    for name in lab.files:
        _fetch_guest(lab, writer, name)
    console = lab.host.console()[lab.host_console_bytes :]
    if console:
        writer.host_path("console.log").write_bytes(console)
    outer = lab.directory / "outer.stream"
    if outer.exists():
        writer.host_path("outer.stream").write_bytes(outer.read_bytes())


def _fetch_guest(lab: Lab, writer: RecordingWriter, name: str) -> None:
    """Every start of a guest; what was seen of an earlier one does not change any more, and is fetched once."""
    for number, path in enumerate(lab.boot.lost_consoles(name), 1):
        _fetch(lab, path, writer.lost_console_path(name, number))
    *earlier, last = lab.boot.starts(name)
    for files in (*(one for one in earlier if not writer.has_boot(name, one.boot)), last):
        boot = None if files is last else files.boot
        _fetch(lab, files.stream, writer.guest_path(name, "probe.stream", boot))
        _fetch(lab, files.paths.console_log, writer.guest_path(name, "console.log", boot))
        xml = lab.boot.domain_xml(name, files)
        writer.guest_path(name, "domain.xml", boot).write_text(xml)


def _fetch(lab: Lab, source: str, target: Path) -> None:
    with suppress(CommandFailed):
        lab.host.shell.fetch(source, target)


def describe(lab: Lab) -> Mapping[str, Any]:
    """What a reader of the recording needs to know about where it was made; no user or machine names."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "lab_version": __version__,
        "python": platform.python_version(),
        "outside_kernel": platform.release(),
        "artifacts": lab.made_of,
    }


def _journal_of_retry(journal: Journal, reason: str, attempt: int) -> Journal:
    retries = Journal()
    for event in journal.events:
        if event.kind == "retry":
            retries.add(0, event.kind, **event.data)
    retries.add(0, "retry", what="run", reason=reason, attempt=attempt)
    return retries


def _put_aside(directory: Path, attempt: int) -> None:
    """Move what a lost attempt recorded out of the way of the next."""
    if not directory.is_dir():
        return
    aside = directory / "lost" / str(attempt)
    aside.mkdir(parents=True)
    for path in directory.iterdir():
        if path.name not in KEPT_NAMES:
            path.rename(aside / path.name)
