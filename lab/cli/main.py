# SPDX-License-Identifier: GPL-2.0-only
"""The `lab` command: its verbs, put together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Annotated, NoReturn

import typer

from lab import __version__
from lab.cli import (
    bisect,
    bundle,
    check,
    compare,
    completion,
    console,
    decode,
    doctor,
    down,
    dump,
    exec_,
    explain,
    export,
    gc,
    gdb,
    govern,
    host,
    image,
    init,
    kernel,
    knob,
    knob_get,
    knob_probe,
    knob_restore,
    knob_watch,
    knobnames,
    load,
    loadnames,
    logs,
    plan,
    preempt,
    prepare,
    report,
    repro,
    run_,
    schema,
    ssh,
    status,
    sweep,
    timeline,
    top,
    try_,
    up,
)
from lab.cli.bisectcodes import end_for_bisect, is_for_bisect
from lab.cli.desk import MakeWiring, make_desk, make_real_wiring
from lab.cli.endings import guarded

app = typer.Typer(
    name="lab",
    help="Overcommitted KVM guests from a topology file, with steal and preemption as assertions.",
    epilog="Exit status: 0 passed, 1 an expectation failed, 2 bad input, 3 host unfit, 4 the lab failed, "
    "5 undecided, 130 interrupted.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
)


def _group(name: str, about: str) -> typer.Typer:
    group = typer.Typer(help=about, rich_markup_mode=None, no_args_is_help=True, add_completion=False)
    app.add_typer(group, name=name)
    return group


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lab {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


#: What comes after a command's own words is not the lab's to read.
_FOREIGN_WORDS = {"ignore_unknown_options": True}

app.command("doctor")(guarded(doctor.doctor))
app.command("plan")(guarded(plan.plan))
app.command("init")(guarded(init.init))
app.command("explain")(guarded(explain.explain))
app.command("schema")(guarded(schema.schema))
app.command("prepare")(guarded(prepare.prepare))
app.command("run")(guarded(run_.run))
app.command("check")(guarded(check.check))
app.command("compare")(guarded(compare.compare))
app.command("preempt")(guarded(preempt.preempt))
app.command("timeline")(guarded(timeline.timeline))
app.command("report")(guarded(report.report))
app.command("decode")(guarded(decode.decode))
app.command("export")(guarded(export.export))
app.command("bundle")(guarded(bundle.bundle))
app.command("repro")(guarded(repro.repro))
app.command("sweep")(guarded(sweep.sweep))
app.command("try")(guarded(try_.try_))
app.command("bisect")(guarded(bisect.bisect))
app.command("up")(guarded(up.up))
app.command("status")(guarded(status.status))
app.command("top")(guarded(top.top))
app.command("ssh", context_settings=_FOREIGN_WORDS)(guarded(ssh.ssh))
app.command("exec", context_settings=_FOREIGN_WORDS)(guarded(exec_.exec_))
app.command("console")(guarded(console.console))
app.command("logs")(guarded(logs.logs))
app.command("gdb")(guarded(gdb.gdb))
app.command("dump")(guarded(dump.dump))
app.command("down")(guarded(down.down))
app.command("gc")(guarded(gc.gc))
app.command("completion")(guarded(completion.completion))

app.command("govern")(guarded(govern.govern))

_knob = _group("knob", "Read, write and explain knobs of a running lab.")
_knob.command("get")(guarded(knob_get.get))
_knob.command("set")(guarded(knob_get.set_))
_knob.command("list")(guarded(knob.list_))
_knob.command("probe")(guarded(knob_probe.probe))
_knob.command("watch")(guarded(knob_watch.watch))
_knob.command("restore")(guarded(knob_restore.restore))
_knob.command("explain")(guarded(knobnames.explain))
_load = _group("load", "Start, stop and explain loads.")
_load.command("start")(guarded(load.start))
_load.command("stop")(guarded(load.stop))
_load.command("list")(guarded(loadnames.list_))
_load.command("explain")(guarded(loadnames.explain))
_kernel = _group("kernel", "Build and list kernels.")
_kernel.command("build")(guarded(kernel.build))
_kernel.command("list")(guarded(kernel.list_))
_image = _group("image", "Build and list root images.")
_image.command("build")(guarded(image.build))
_image.command("list")(guarded(image.list_))
_host = _group("host", "The host VM that the lab owns.")
_host.command("up")(guarded(host.up))
_host.command("down")(guarded(host.down))
_host.command("status")(guarded(host.status))


def run(argv: Sequence[str] | None = None, make_wiring: MakeWiring = make_real_wiring) -> NoReturn:
    """The console script: run one command and exit."""
    desk = make_desk(make_wiring)
    desk.interrupts.install()
    completion.answer_completion()
    words = sys.argv[1:] if argv is None else list(argv)
    if is_for_bisect(words):
        call = partial(app, args=words, prog_name="lab", obj=desk, standalone_mode=False)
        raise SystemExit(end_for_bisect(call))
    app(args=words, prog_name="lab", obj=desk)
    raise AssertionError("a command ends by an exit code")
