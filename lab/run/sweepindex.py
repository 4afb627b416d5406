# SPDX-License-Identifier: GPL-2.0-only
"""The index of a sweep's runs: an SQLite file in its directory, so that any program may read it.

    sweep(name, parameters)
    runs(key, repeat, parameters, digest, status, exit_code, seconds, recording, reason)
    metrics(key, repeat, phase, arm, arm_repeat, metric, unit, better, value, doubts)

`parameters` and `doubts` are JSON. A run is written down before it begins: what was killed is found as `running`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lab.errors import InputError, LabFailure
from lab.run.dirlock import directory_locked
from lab.sweep.outcome import MetricRow, RunOutcome
from lab.sweep.spec import Value

#: The values of each parameter of a grid.
Parameters = Mapping[str, tuple[Value, ...]]

INDEX_FILE, LOCK_FILE = "index.sqlite", "index.lock"
FORMAT = 1
_SCHEMA = (Path(__file__).parent / "sweepindex.sql").read_text()
_RUN_FIELDS = "key, repeat, parameters, digest, status, exit_code, seconds, recording, reason"
_METRIC_FIELDS = "phase, arm, arm_repeat, metric, unit, better, value, doubts"


class SweepIndex:
    """An open index."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def about(self) -> tuple[str, Parameters]:
        """The sweep's name and its grid."""
        name, parameters = self._database.execute("SELECT name, parameters FROM sweep").fetchone()
        return name, {one: tuple(values) for one, values in json.loads(parameters).items()}

    def begin(self, name: str, parameters: Parameters) -> None:
        """Runs of this sweep follow; its grid may have changed since. Raises InputError for another sweep."""
        known = self._database.execute("SELECT name FROM sweep").fetchone()
        if known is not None and known[0] != name:
            raise InputError(
                f"the directory has runs of sweep {known[0]!r}, not of {name!r}", "take another one"
            )
        text = json.dumps({one: list(values) for one, values in parameters.items()})
        with self._database:
            self._database.execute("DELETE FROM sweep")
            self._database.execute("INSERT INTO sweep (name, parameters) VALUES (?, ?)", (name, text))

    def find(self, key: str, repeat: int) -> RunOutcome | None:
        """What is known of a run; None where it never began."""
        return next(iter(self._select("WHERE key = ? AND repeat = ?", (key, repeat))), None)

    def all(self) -> tuple[RunOutcome, ...]:
        """Every run that began, in the order in which they first did."""
        return tuple(self._select("ORDER BY rowid", ()))

    def write(self, outcome: RunOutcome) -> None:
        """Write a run down, in place of what was known of it."""
        where = (outcome.key, outcome.repeat)
        with self._database:
            self._database.execute("DELETE FROM metrics WHERE key = ? AND repeat = ?", where)
            self._database.execute(
                f"INSERT INTO runs ({_RUN_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key, repeat) DO "
                "UPDATE SET parameters = excluded.parameters, digest = excluded.digest, status = excluded.status, "
                "exit_code = excluded.exit_code, seconds = excluded.seconds, recording = excluded.recording, "
                "reason = excluded.reason",
                _run_values(outcome),
            )
            self._database.executemany(
                f"INSERT INTO metrics (key, repeat, {_METRIC_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*where, *_metric_values(row)) for row in outcome.metrics],
            )

    def _select(self, which: str, values: tuple[object, ...]) -> Iterator[RunOutcome]:
        for row in self._database.execute(f"SELECT {_RUN_FIELDS} FROM runs {which}", values).fetchall():
            key, repeat, parameters, digest, status, exit_code, seconds, recording, reason = row
            yield RunOutcome(
                key=key,
                repeat=repeat,
                parameters=json.loads(parameters),
                digest=digest,
                status=status,
                exit_code=exit_code,
                seconds=seconds,
                recording=recording,
                reason=reason,
                metrics=self._metrics(key, repeat),
            )

    def _metrics(self, key: str, repeat: int) -> tuple[MetricRow, ...]:
        rows = self._database.execute(
            f"SELECT {_METRIC_FIELDS} FROM metrics WHERE key = ? AND repeat = ? ORDER BY rowid", (key, repeat)
        )
        return tuple(_metric_row(row) for row in rows)


def _metric_row(row: tuple[Any, ...]) -> MetricRow:
    phase, arm, arm_repeat, metric, unit, better, value, doubts = row
    return MetricRow(phase, arm, arm_repeat, metric, unit, better, value, tuple(json.loads(doubts)))


def _run_values(one: RunOutcome) -> tuple[object, ...]:
    parameters = json.dumps(dict(one.parameters))
    return (
        *(one.key, one.repeat, parameters, one.digest, one.status),
        *(one.exit_code, one.seconds, one.recording, one.reason),
    )


def _metric_values(row: MetricRow) -> tuple[object, ...]:
    doubts = json.dumps(list(row.doubts))
    return (
        *(row.phase, row.arm, row.arm_repeat, row.metric, row.unit, row.better, row.value),
        doubts,
    )


@contextmanager
def open_index(directory: Path, *, to_run: bool) -> Iterator[SweepIndex]:
    """The index in `directory`. With `to_run` it is made where there is none, and nobody else may run the sweep.

    Raises InputError where there is none, or one of another version; LabFailure where another process runs it, and
    for what SQLite cannot do.
    """
    path = directory / INDEX_FILE
    if not to_run and not path.is_file():
        raise InputError(
            f"{directory}: no sweep was run there (no {INDEX_FILE})", "`lab sweep GRID.yaml -o DIR`"
        )
    try:
        lock = directory_locked(directory, LOCK_FILE, "runs this sweep") if to_run else nullcontext()
        with lock, closing(sqlite3.connect(path)) as database:
            _prepare(database, path, make=to_run)
            yield SweepIndex(database)
    except sqlite3.Error as error:
        raise LabFailure(f"{path}: {error}") from error


def _prepare(database: sqlite3.Connection, path: Path, *, make: bool) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0 and make:
        database.executescript(_SCHEMA)
        database.execute(f"PRAGMA user_version = {FORMAT}")
    elif version != FORMAT:
        raise InputError(f"{path}: format {version}, this lab reads format {FORMAT}")
