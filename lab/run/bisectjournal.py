# SPDX-License-Identifier: GPL-2.0-only
"""The directory of a bisection: what is bisected, every attempt, and what came out.

bisection.json     {"format": 1, ...what is asked}: written once
attempts.jsonl     one attempt a line, appended when it has ended (lab.bisect.document)
conclusion.json    what came out, when it has
runs/KEY-N/        the recording of run number N (from 1) of a commit
build/             the work tree of `lab bisect` and what was compiled in it
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.bisect.document import FORMAT, attempt_document, conclusion_document, parse_attempt, parse_conclusion
from lab.bisect.model import Attempt
from lab.bisect.steps import Conclusion
from lab.bisect.text import short
from lab.errors import InputError
from lab.run.dirlock import directory_locked

HEAD, ATTEMPTS, CONCLUSION, LOCK, RUNS = (
    "bisection.json",
    "attempts.jsonl",
    "conclusion.json",
    "bisection.lock",
    "runs",
)


class BisectJournal:
    """An open journal; `about` is what is asked."""

    def __init__(self, directory: Path, about: Mapping[str, Any], attempts: tuple[Attempt, ...]) -> None:
        self.directory = directory
        self.about = about
        self.attempts = attempts

    def add(self, attempt: Attempt) -> None:
        """Write an attempt down, for good."""
        with (self.directory / ATTEMPTS).open("a") as sink:
            sink.write(json.dumps(attempt_document(attempt)) + "\n")
            sink.flush()
            os.fsync(sink.fileno())
        self.attempts = (*self.attempts, attempt)

    def new_recording(self, key: str) -> str:
        """A directory, relative to the bisection's, for the next run of a commit. What an interrupted run left
        stays where it is."""
        number = 1
        while (self.directory / RUNS / f"{short(key)}-{number}").exists():
            number += 1
        return f"{RUNS}/{short(key)}-{number}"

    def conclusion(self) -> Conclusion | None:
        """What came out, None while nothing has."""
        path = self.directory / CONCLUSION
        return parse_conclusion(_read_json(path)) if path.is_file() else None

    def conclude(self, conclusion: Conclusion) -> None:
        """Write down what came out."""
        _write_json(self.directory / CONCLUSION, conclusion_document(conclusion))


@contextmanager
def open_journal(directory: Path, about: Mapping[str, Any]) -> Iterator[BisectJournal]:
    """The journal in `directory`, made where there is none; nobody else may write to it meanwhile.

    Raises InputError where the directory cannot be used or has another bisection, LabFailure where another process
    carries it out.
    """
    with directory_locked(directory, LOCK, "carries this bisection out"):
        if (directory / HEAD).exists():
            _check_same(directory, _read_head(directory), about)
        else:
            _write_json(directory / HEAD, {"format": FORMAT, **about})
        yield BisectJournal(directory, about, _mend_attempts(directory))


def read_journal(directory: Path) -> BisectJournal:
    """The journal in `directory`, for reading. Raises InputError where there is none, or a damaged one."""
    if not (directory / HEAD).is_file():
        raise InputError(f"{directory}: no bisection was carried out there (no {HEAD})")
    return BisectJournal(directory, _read_head(directory), _read_attempts(directory)[0])


def _read_head(directory: Path) -> dict[str, Any]:
    about = _read_json(directory / HEAD)
    version = about.pop("format", None)
    if version != FORMAT:
        raise InputError(f"{directory / HEAD}: format {version!r}, this lab reads format {FORMAT}")
    return about


def _check_same(directory: Path, known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    other = [name for name in dict.fromkeys([*known, *asked]) if known.get(name) != asked.get(name)]
    if other:
        told = "; ".join(f"{name} was {known.get(name)}, now {asked.get(name)}" for name in other)
        raise InputError(f"{directory} has another bisection: {told}", "take another directory")


def _read_attempts(directory: Path) -> tuple[tuple[Attempt, ...], int]:
    """The attempts, and how many bytes of the file they are: a line that was cut short did not happen."""
    path = directory / ATTEMPTS
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    try:
        return tuple(parse_attempt(json.loads(line)) for line in whole.splitlines()), len(whole)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read: {error}", "take another directory") from None


def _mend_attempts(directory: Path) -> tuple[Attempt, ...]:
    attempts, size = _read_attempts(directory)
    if (directory / ATTEMPTS).exists():
        os.truncate(directory / ATTEMPTS, size)
    return attempts


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}", "take another directory") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: is not a JSON object", "take another directory")
    return document


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.new")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    partial.replace(path)
