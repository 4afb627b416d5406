# SPDX-License-Identifier: GPL-2.0-only
"""A planted regression in the reference series is found on real guests, past a commit that does not build."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_lab import call, calling
from kernel_tree import Edit, KernelTree

from lab.errors import UndecidedError
from lab.places import Places

TOPOLOGY = Path(__file__).parent / "data/bisect.yaml"
TIMEOUT_S = 1800
FAIR = "kernel/sched/fair.c"
EDITS = (
    Edit("lib/cmdline: Say it better", "lib/cmdline.c", "", "\n/* Parsing ends here. */\n"),
    Edit("sched/fair: End with a word", FAIR, "", "\n/* Fair to the end. */\n"),
    Edit("lib/ctype: Say it better", "lib/ctype.c", "", "\n/* Characters end here. */\n"),
    Edit("lib/string: Break the build", "lib/string.c", "", "\n#error Planted.\n"),
    Edit("lib/string: Mend the build", "lib/string.c", "\n#error Planted.\n", "\n"),
    Edit(
        "cpu: Be quick about CPUs to avoid",
        "kernel/cpu_paravirt.c",
        "\tif (cpumask_empty(mask))\n\t\tstatic_branch_disable_cpuslocked(",
        "\tif (!cpumask_empty(mask))\n\t\tstatic_branch_disable_cpuslocked(",
    ),
    Edit("lib/kasprintf: Say it better", "lib/kasprintf.c", "", "\n/* Printing ends here. */\n"),
    Edit("sched/fair: End with another word", FAIR, "Fair to the end.", "Fair to its end."),
)
BROKEN, PLANTED = 3, 5


@pytest.mark.long
@pytest.mark.kernelbuild
def test_a_planted_regression_is_found(
    places: Places, where: str, figures: Callable[..., None], tmp_path: Path
) -> None:
    started = time.monotonic()
    tree = KernelTree(places, tmp_path / "linux.git")
    tree.edit(EDITS)
    figures(f"git tree made in {time.monotonic() - started:.0f} s")
    good, edits = tree.commits[1], tree.commits[2:]
    words: list[str | Path] = ["bisect", TOPOLOGY, "--tree", tree.path, "--good", good, "--bad", edits[-1]]
    words += ["--no-patches", "--host", where, "-o", tmp_path / "out"]

    with calling(*words, log=tmp_path / "interrupted.log") as child:
        child.wait_until(lambda: "is it good?" in child.told(), "the second run", timeout_s=TIMEOUT_S)
        assert child.interrupt() == 130
    done = call(*words, "--json", timeout_s=TIMEOUT_S)
    if done.status == 5:
        raise UndecidedError(f"lab bisect decided nothing: {done.out}{done.err}")
    assert done.status == 0, done.out + done.err

    report = json.loads(done.out)
    assert report["conclusion"]["commits"] == [edits[PLANTED]], done.out
    assert report["conclusion"]["parents"] == [edits[PLANTED - 1]]
    by_commit = {one["commit"]: one for one in report["commits"]}
    assert by_commit[edits[BROKEN]]["term"] == "skip"
    assert "#error Planted." in by_commit[edits[BROKEN]]["runs"][0]["reason"]
    assert (by_commit[good]["term"], by_commit[edits[-1]]["term"]) == ("good", "bad")
    told = call("bisect", "-o", tmp_path / "out").out
    assert f"first bad commit: {edits[PLANTED][:12]} {EDITS[PLANTED].subject}" in told
    assert tree.git("worktree", "list").count("\n") == 0
    figures(f"whole test: {time.monotonic() - started:.0f} s", *told.splitlines())
