# SPDX-License-Identifier: GPL-2.0-only
"""`lab try`: a patch series against its base, and a reply to whoever sent it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import HostOption, JsonOption, RecordOption
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.cli.judging import Judged
    from lab.cli.trial import PreparedTrial
    from lab.judge.trialverdict import TrialVerdict

#: Even, so that arms can run as A B B A; the fewest from which a change can be told are three.
_REPEATS = 6


def try_(
    ctx: typer.Context,
    series: Annotated[
        str,
        typer.Argument(
            metavar="SERIES",
            help="An mbox, a maildir, a directory of patches, or a message id, which b4 fetches.",
            show_default=False,
        ),
    ],
    topology: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TOPOLOGY]",
            help="What to run on both kernels. Default: topologies/try.yaml.",
            show_default=False,
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            "--kernel",
            metavar="BASE",
            help="What the series is tried on: 6.12 (Debian's), a source tree (DIR or DIR@REF), a tarball, or a "
            "kernel of the topology. Default: what each node of the topology boots.",
        ),
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            metavar="FILE|SYMBOL=VALUE",
            help="Config of the patched kernel only; may be given again. Default: what comes with the series.",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", metavar="N", min=1, max=1000, help="Of each kernel, interleaved.")
    ] = _REPEATS,
    aa: Annotated[
        bool,
        typer.Option("--aa", help="Measure the base twice: it shows how much equal kernels seem to differ."),
    ] = False,
    record: RecordOption = None,
    reply: Annotated[
        Path | None,
        typer.Option(
            "--reply",
            metavar="FILE",
            help="Write the draft of a reply there and print tables; default: print the draft.",
        ),
    ] = None,
    host: HostOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only tell whether it applies, what would be built, and how long."),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Try a patch series against its base, and draft a reply.

    \b
    lab try series.mbox                        the topology that is made for it
    lab try series.mbox my.yaml --dry-run      does it apply, what is built, how long
    lab try 2026...@example.org --kernel ~/linux --reply draft.eml

    Every node boots its kernel in the arm base, and the same with the series in the arm patched. What the topology
    expects is expected of the patched kernel. A base-commit is honoured where the source is a git tree that has it.
    The draft has no tag: a Tested-by is yours to give. It may be opened by a mail client (mutt -H FILE).

    Exit status: 0 nothing regressed, 1 something did or an expectation failed, 5 nothing did, but something is
    inconclusive; as of `lab run` otherwise.
    """
    from lab.cli.trial import Wanted, prepare_trial

    desk = desk_of(ctx)
    chosen = topology or desk.places.topologies_dir / "try.yaml"
    wanted = Wanted(series, chosen, topology is None, repeats, kernel, tuple(config or ()), host, aa)
    if reply is not None and reply.exists():
        raise InputError(f"--reply {reply}: exists already", "name a new file")
    with tempfile.TemporaryDirectory(prefix="lab-try-") as work:
        prepared = prepare_trial(desk, wanted, Path(work), fetch=not dry_run)
        if dry_run:
            return _tell_plan(desk, prepared, as_json)
    return _tell(desk, prepared, _run(desk, prepared, record), reply, as_json)


def _tell_plan(desk: Desk, prepared: PreparedTrial, as_json: bool) -> int:
    from lab.cli.trial import forecast, render_prepared, trial_document
    from lab.plan.armtext import render_time
    from lab.plan.runtime import estimate_run_ns

    kernels = forecast(desk, prepared)
    if as_json:
        seconds = round(estimate_run_ns(prepared.plan) / 1e9)
        desk.print_json({**trial_document(prepared, kernels), "run_s": seconds})
    else:
        desk.print(render_prepared(prepared, kernels, render_time(prepared.plan)))
    return 0


def _run(desk: Desk, prepared: PreparedTrial, record: Path | None) -> Judged:
    from lab.cli.asked import asked_where
    from lab.cli.judging import judge_recording
    from lab.cli.run_ import fresh_directory, run_topology
    from lab.cli.trial import trial_document
    from lab.recording import claim_directory

    directory = record or fresh_directory(desk.places.state_dir, f"try-{prepared.topology.name}")
    claim_directory(directory)
    desk.terminal.say(f"recording: {directory}")
    for note in prepared.notes:
        desk.terminal.say(note)
    topology = prepared.topology_in(directory)
    where = desk.wiring.resolve_where(asked_where(prepared.wanted.host, topology))
    run_topology(desk, topology, where, directory)
    about = json.dumps(trial_document(prepared), indent=2)
    (directory / "try.json").write_text(about + "\n")
    return judge_recording(directory)


def _tell(desk: Desk, prepared: PreparedTrial, judged: Judged, reply: Path | None, as_json: bool) -> int:
    from lab.cli.judging import keep_judged, render_judged
    from lab.cli.trial import trial_document
    from lab.judge.arms import compare_arms
    from lab.judge.evidence import Evidence
    from lab.judge.exitcode import exit_code_for
    from lab.judge.trialverdict import judge_trial

    report = compare_arms(Evidence(judged.plan, judged.measurements))
    verdict, document = judge_trial(report, judged.judgement), keep_judged(desk, judged)
    draft = _draft(prepared, judged, verdict)
    if reply is not None:
        _write(reply, draft)
        desk.terminal.say(f"{reply}: the draft of a reply; a tag such as Tested-by is yours to add")
    if as_json:
        told = {"outcome": verdict.outcome.value, "lines": list(verdict.lines), **trial_document(prepared)}
        desk.print_json({**document, "recording": str(judged.directory), "try": told})
    elif reply is None:
        desk.print(draft)
    else:
        said = "".join(f"{line}\n" for line in verdict.lines)
        desk.print(f"{render_judged(judged)}\n{verdict.outcome.value}: {prepared.series.title}\n{said}")
    return exit_code_for(verdict.outcome)


def _draft(prepared: PreparedTrial, judged: Judged, verdict: TrialVerdict) -> str:
    from lab.recording import Recording
    from lab.report.material import Material
    from lab.report.reply import render_reply

    recording = Recording(judged.directory)
    material = Material(
        plan=judged.plan,
        measurements=judged.measurements,
        judgement=judged.judgement,
        about=recording.about,
        topology_text=recording.topology_text(),
        events=recording.events(),
    )
    return render_reply(material, prepared.tried, verdict)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise InputError(f"--reply {path}: cannot be written: {error.strerror}") from None
