# SPDX-License-Identifier: GPL-2.0-only
"""What of a recording is compared, kept beside it: to measure it again takes twenty times as long.

    metrics.json    {"format": 1, "code": DIGEST, "files": DIGEST, "recorded": {...}}

The raw bytes stay what counts. What is kept is used only where neither they nor the code that read them have
changed since: a mistake in a parser is mended by the next `lab compare`, as by `lab check`.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from lab.judge.evidence import Evidence
from lab.judge.recorded import Recorded, collect_recorded
from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements
from lab.plan.labplan import LabPlan
from lab.recording import Recording

FORMAT = 1
NAME = "metrics.json"
#: What is made from the recording, not part of it.
_DERIVED = frozenset((NAME, "verdicts.json", "report.html", "decoded.json"))
_PACKAGE = Path(__file__).parents[1]
#: The parts of the lab whose code decides what the bytes mean.
_MEANING = ("judge", "measure", "plan")
_ADAPTER = TypeAdapter(Recorded)


def read_recorded(directory: Path) -> Recorded:
    """The metrics of a recording: as kept, or measured anew and kept. Raises RecordingError where it is unfit."""
    return read_kept(directory) or measure_recorded(directory)


def measure_recorded(directory: Path) -> Recorded:
    """The metrics of a recording from its raw bytes, kept for the next time. Raises RecordingError."""
    recording = Recording(directory)
    plan = recording.plan()
    return keep_recorded(directory, plan, measure_recording(recording, plan))


def keep_recorded(directory: Path, plan: LabPlan, measurements: Measurements) -> Recorded:
    """The metrics in `measurements`, kept where the recording can be written to."""
    recorded = collect_recorded(Evidence(plan, measurements))
    with suppress(OSError):  # somebody else's recording may be read-only
        write_kept(directory, recorded)
    return recorded


def write_kept(directory: Path, recorded: Recorded) -> None:
    """Keep `recorded` for as long as the files and the code stay as they are."""
    document = {
        "format": FORMAT,
        "code": _code_digest(),
        "files": _files_digest(directory),
        "recorded": asdict(recorded),
    }
    (directory / NAME).write_text(json.dumps(document) + "\n")


def read_kept(directory: Path) -> Recorded | None:
    """What is kept, where it is still what would be measured."""
    try:
        kept = json.loads((directory / NAME).read_bytes())
        now = {"format": FORMAT, "code": _code_digest(), "files": _files_digest(directory)}
        if any(kept[key] != value for key, value in now.items()):
            return None
        return _ADAPTER.validate_python(kept["recorded"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _code_digest() -> str:
    digest = hashlib.sha256()
    for part in _MEANING:
        for path in sorted((_PACKAGE / part).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _files_digest(directory: Path) -> str:
    """Names, sizes and times of everything recorded; bytes would take as long to read as to measure."""
    digest = hashlib.sha256()
    for path, entry in sorted(_files(directory, "")):
        digest.update(f"{path}\0{entry.st_size}\0{entry.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _files(directory: str | Path, prefix: str) -> list[tuple[str, os.stat_result]]:
    found: list[tuple[str, os.stat_result]] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _files(entry.path, f"{prefix}{entry.name}/")
            elif prefix or entry.name not in _DERIVED:
                found.append((f"{prefix}{entry.name}", entry.stat(follow_symlinks=False)))
    return found
