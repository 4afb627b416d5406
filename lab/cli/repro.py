# SPDX-License-Identifier: GPL-2.0-only
"""`lab repro`: somebody's bundle, run again here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import HostOption, JsonOption
from lab.errors import ExitCode, InputError

if TYPE_CHECKING:
    from lab.bundle.manifest import Bundle
    from lab.cli.builds import Build
    from lab.cli.judging import Judged
    from lab.cli.replay import Scenario
    from lab.plan.replaying import Fitting

_MOST_REPEATS = 100


def repro(
    ctx: typer.Context,
    bundle: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle, as `lab bundle` makes it.")],
    kernel: Annotated[
        str | None,
        typer.Option(
            "--kernel",
            metavar="[KERNEL=]WHAT",
            help="Another kernel in place of the reporter's: a source tree, a bzImage or ELF kernel, a tarball, "
            "X.Y (Debian's, without patches), a shipped series, or another kernel of the bundle. KERNEL says which "
            "one is swapped where there are several.",
        ),
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(
            "--patches",
            metavar="DIR|MBOX",
            help="Other patches in place of the reporter's: a directory with `series`, a patch, or an mbox.",
        ),
    ] = None,
    host: HostOption = None,
    repeats: Annotated[
        int, typer.Option("--repeats", metavar="N", help="Run it N times. One run is no statistics.")
    ] = 1,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            metavar="DIR",
            help="Directory of the recording, new or empty; with --repeats, of all of them (DIR/1, DIR/2, ...). "
            "Default: a fresh one under the state directory.",
        ),
    ] = None,
    shell: Annotated[
        bool, typer.Option("--shell", help="Bring the lab up, say how to work with it, and leave it running.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Stop before anything is built, started or changed.")
    ] = False,
    allow_host: Annotated[
        bool,
        typer.Option(
            "--allow-host",
            help="Agree to what the bundle does to the host itself: knobs of the host, loads on it, and building "
            "the reporter's patches, whose scripts run here. What it does to guests stays in them.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Run somebody's bundle again, and compare.

    Verifies the bundle, shows what will be built, checks this host against what the scenario needs, finds pCPUs
    that stand for the reporter's, runs it, judges it, and prints the reporter's figures beside yours.

    \b
    lab repro FILE                           the same again
    lab repro FILE --kernel ~/src/linux      with your kernel in place of the reporter's
    lab repro FILE --patches v2.mbox         with other patches on the reporter's source
    lab repro FILE --shell                   only up, to look around

    Knobs that a swapped kernel lacks are skipped, and what was expected of them with them.

    Exit status: what `lab run` would say of the verdicts here (with --repeats the worst): 0 passed, 1 an
    expectation failed, 5 undecided. Whether they are the reporter's is printed, and `reproduced` in --json: a
    reporter's failure that is reproduced exits 1. 2 for a bundle or an option that is refused, or where consent is
    missing (without a terminal nobody is asked); 3 for a host that is not fit; 4 where the lab failed.
    """
    desk = desk_of(ctx)
    _check_options(repeats, shell, as_json, record)
    with _opened(desk, bundle) as opened:
        job = _prepare(desk, opened, Asked(kernel, patches, host, allow_host))
        if not as_json:
            desk.print(_render_job(job) + "\n")
        if dry_run:
            return _end_dry_run(desk, job, as_json=as_json)
        job.fitting.require(job.guess)
        _require_consent(desk, job, allow_host=allow_host)
        if shell:
            return _bring_up(desk, job)
        return _run_and_compare(desk, job, repeats, record, as_json=as_json)


def _check_options(repeats: int, shell: bool, as_json: bool, record: Path | None) -> None:
    if not 1 <= repeats <= _MOST_REPEATS:
        raise InputError(f"--repeats {repeats}: must be between 1 and {_MOST_REPEATS}")
    if shell and (repeats > 1 or as_json or record is not None):
        raise InputError("--shell runs and records nothing: --repeats, --record and --json do not go with it")


@contextmanager
def _opened(desk: Desk, file: Path) -> Iterator[Bundle]:
    """The bundle, verified and unpacked for as long as it is needed."""
    from lab.bundle.opening import open_bundle
    from lab.cli.scratch import open_scratch

    desk.places.make_passable()
    with open_scratch(desk.places.state_dir) as scratch:
        desk.terminal.step(f"verifying {file.name}")
        bundle = open_bundle(file, scratch / "bundle")
        desk.terminal.end_step()
        yield bundle


@dataclass(frozen=True)
class Asked:
    """What the user wants otherwise than the bundle has it."""

    kernel: str | None
    patches: Path | None
    host: str | None
    allow_host: bool


@dataclass(frozen=True)
class Job:
    """What is to be done, as far as it can be told before a host was asked. `where` may be auto, `guess` is what it
    probably means. `builds` and `effects` are empty where the scenario does not fit."""

    scenario: Scenario
    where: str
    guess: str
    fitting: Fitting
    builds: tuple[Build, ...]
    effects: tuple[str, ...]
    allow_build: bool
    no_kvm: str


def _prepare(desk: Desk, bundle: Bundle, asked: Asked) -> Job:
    from lab.bundle.consent import host_effects
    from lab.cli.asked import asked_where, guess_facts, guess_where
    from lab.cli.builds import list_builds
    from lab.cli.replay import plan_unasked, read_scenario, settle_builds, settle_sources, swap_kernel

    scenario = read_scenario(bundle)
    scenario = swap_kernel(scenario, asked.kernel, asked.patches, desk.places.images_dir)
    scenario = settle_sources(scenario)
    where = asked_where(asked.host, scenario.topology)
    guess = guess_where(where, desk.places).where
    no_kvm = _no_kvm(desk, guess)
    facts = guess_facts(guess, scenario.topology)
    fitting = scenario.fit(facts, no_kvm)
    if fitting.problems:
        return Job(scenario, where, guess, fitting, (), (), asked.allow_host, no_kvm)
    make_plan, only_built = plan_unasked(desk.places.images_dir), desk.wiring.only_built().workshop
    scenario = settle_builds(scenario, scenario.plan(facts, make_plan), only_built, allowed=asked.allow_host)
    plan = scenario.plan(facts, make_plan)
    builds = list_builds(only_built, plan)
    return Job(scenario, where, guess, fitting, builds, host_effects(plan), asked.allow_host, no_kvm)


def _no_kvm(desk: Desk, where: str) -> str:
    """Why this machine's KVM does not run guests, where that is known already."""
    from lab.adapters.kvmprobe import read_verdict, refused_at_once

    if where != "local":
        return ""
    verdict = refused_at_once() or read_verdict(desk.places.kvm_verdict)
    return "" if verdict is None or verdict.usable else verdict.reason


def _render_job(job: Job) -> str:
    from lab.cli.replaytext import render_bundle, render_effects, render_fitting, render_work

    parts = [
        render_bundle(job.scenario.bundle, job.scenario.recorded),
        render_fitting(job.fitting, job.guess),
    ]
    if not job.fitting.problems:
        remapping = job.fitting.remapping
        remapped = remapping is not None and not remapping.is_identity
        effects = render_effects(job.effects, job.guess, remapped=remapped)
        parts += [render_work(job.scenario, job.builds), effects]
    return "\n".join(filter(None, parts))


def _end_dry_run(desk: Desk, job: Job, *, as_json: bool) -> ExitCode:
    if as_json:
        from lab.cli.replayresult import job_document

        desk.print_json(job_document(job))
    return ExitCode.HOST_UNFIT if job.fitting.problems else ExitCode.PASSED


def _require_consent(desk: Desk, job: Job, *, allow_host: bool) -> None:
    """Raises InputError where nobody agrees; somebody is asked only where he sits at a terminal."""
    if not job.effects or allow_host:
        return
    told = "".join(f"\n  {one}" for one in job.effects)
    if sys.stdin.isatty() and sys.stderr.isatty():
        desk.terminal.end_step()
        if typer.confirm(f"This bundle does to the host itself:{told}\nGo on?", default=False, err=True):
            return
    raise InputError(
        f"the bundle does to the host itself what nobody agreed to:{told}", "--allow-host agrees to it"
    )


# ---- the real host


def _settle(desk: Desk, job: Job, where: str) -> tuple[Scenario, str]:
    """The scenario and the topology for the host `where` as it is. Raises HostError where that is not fit after
    all, InputError where a kernel would have to be built for it that may not be."""
    from lab.cli.replay import plan_unasked, settle_builds

    with desk.wiring.open_host(where) as host:
        here = host.facts
    make_plan, only_built = plan_unasked(desk.places.images_dir), desk.wiring.only_built().workshop
    plan = job.scenario.plan(here, make_plan, job.no_kvm)
    scenario = settle_builds(job.scenario, plan, only_built, allowed=job.allow_build)
    return scenario, scenario.text(here)


def _bring_up(desk: Desk, job: Job) -> ExitCode:
    from lab.cli.up import bring_up, render_next_steps

    where = desk.wiring.resolve_where(job.where)
    scenario, _ = _settle(desk, job, where)
    plan = bring_up(desk, where, lambda facts: scenario.plan(facts, desk.wiring.plan))
    desk.print(render_next_steps(plan))
    return ExitCode.PASSED


def _run_and_compare(desk: Desk, job: Job, repeats: int, record: Path | None, *, as_json: bool) -> ExitCode:
    from lab.cli.judging import judge_recording, keep_judged
    from lab.cli.replayresult import compare_runs, render_result, result_document, worst_exit_code

    # What cannot be judged is better known before an hour of runs than after.
    there = judge_recording(job.scenario.bundle.recording)
    directories = _directories(desk, job, repeats, record)
    where = desk.wiring.resolve_where(job.where)
    scenario, text = _settle(desk, job, where)
    runs: list[Judged] = []
    for number, directory in enumerate(directories, 1):
        which = f" {number} of {repeats}" if repeats > 1 else ""
        desk.terminal.say(f"recording{which}: {directory}")
        _run(desk, scenario, where, text, directory)
        runs.append(judge_recording(directory))
        keep_judged(desk, runs[-1])
    result = compare_runs(scenario, there, runs, desk.wiring)
    if as_json:
        desk.print_json(result_document(result))
    else:
        desk.print(render_result(result))
    return worst_exit_code(runs)


def _directories(desk: Desk, job: Job, repeats: int, record: Path | None) -> Sequence[Path]:
    """One for each run, claimed before anything else is done."""
    from lab.cli.run_ import fresh_directory
    from lab.recording import claim_directory

    top = record or fresh_directory(desk.places.state_dir, f"{job.scenario.topology.name}-repro")
    claim_directory(top)
    return [top] if repeats == 1 else [top / str(number) for number in range(1, repeats + 1)]


def _run(desk: Desk, scenario: Scenario, where: str, text: str, directory: Path) -> None:
    from lab.cli.run_ import run_topology
    from lab.topology.decode import topology_of

    moved = topology_of(text, scenario.bundle.topology)
    run_topology(desk, moved, where, directory, lambda facts: scenario.plan(facts, desk.wiring.plan))
