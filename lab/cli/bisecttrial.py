# SPDX-License-Identifier: GPL-2.0-only
"""One run of one commit: built, run, judged; what `lab bisect` and `lab run --bisect` have in common."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lab.bisect.endings import ending_of_error, ending_of_judgement, seen_of
from lab.bisect.model import Attempt, Ending, Rules, first_line
from lab.cli.asked import asked_where, guess_where, plan_by_guess, plan_for_building
from lab.cli.desk import Desk
from lab.cli.judging import judge_recording, keep_judged
from lab.cli.run_ import run_topology
from lab.errors import InputError, LabError
from lab.recording import claim_directory
from lab.topology.model import Topology


@dataclass(frozen=True)
class Trial:
    """What is run, where, and what a lost guest means."""

    topology: Topology
    host: str | None
    lost_is_bad: bool

    def check(self, desk: Desk) -> None:
        """Raise InputError, or HostError, for what no commit could change."""
        if not self.topology.expectations:
            raise InputError(
                f"{self.topology.path}: expects nothing: every commit would be good",
                "add what holds on good commits only under `expect`",
            )
        guess = guess_where(asked_where(self.host, self.topology), desk.places)
        plan_by_guess(self.topology, guess.where, desk.places)

    def digest(self) -> str:
        """The SHA-256 of the topology's text, in hex."""
        return hashlib.sha256(self.topology.text.encode()).hexdigest()

    def run(self, desk: Desk, blank: Attempt, directory: Path) -> Attempt:
        """Run once. `blank` has key, subject, and the recording's place in `directory`; what comes back, the rest.

        Raises the LabError that says nothing of the commit: a host that is unfit, bad input, leased pCPUs.
        """
        recording = directory / blank.recording
        watch = _Watch()
        begun = replace(blank, begun=datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            ended = self._run(desk, begun, recording, watch)
        except LabError as error:
            ending = ending_of_error(error, lost_is_bad=self.lost_is_bad)
            if ending is Ending.UNFIT:
                raise
            desk.terminal.end_step(failed=True)
            desk.terminal.say(f"{ending.value}: {error.message}")
            ended = replace(begun, ending=ending, reason=error.message)
        kept = ended.recording if (recording / "recording.json").is_file() else ""
        return replace(ended, recording=kept, build_s=watch.build_s, run_s=watch.run_s)

    def _run(self, desk: Desk, begun: Attempt, recording: Path, watch: _Watch) -> Attempt:
        where = desk.wiring.resolve_where(asked_where(self.host, self.topology))
        desk.wiring.launch(plan_for_building(desk, self.topology, self.host))
        watch.built()
        desk.terminal.end_step()
        claim_directory(recording)
        run_topology(desk, self.topology, where, recording)
        judged = judge_recording(recording)
        keep_judged(desk, judged)
        ending, reason = ending_of_judgement(judged.judgement)
        desk.terminal.say(f"{ending.value}{f': {first_line(reason)}' if reason else ''} ({recording})")
        return replace(begun, ending=ending, reason=reason, seen=seen_of(judged.judgement))


class _Watch:
    """Seconds of building until `built`, and of running since, rounded."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._built: float | None = None

    def built(self) -> None:
        """Everything is built."""
        self._built = time.monotonic()

    @property
    def build_s(self) -> float:
        """Of building."""
        return round((self._built or time.monotonic()) - self._started, 1)

    @property
    def run_s(self) -> float:
        """Of running."""
        return round(time.monotonic() - self._built, 1) if self._built else 0.0


def check_rules(rules: Rules) -> Rules:
    """The rules. Raises InputError for numbers that make no sense."""
    for name, value, least in (
        ("--votes", rules.votes, 1),
        ("--attempts", rules.attempts, 1),
        ("--confirm", rules.confirm, 0),
    ):
        if value < least:
            raise InputError(f"{name} {value}: expected {least} or more")
    return rules
