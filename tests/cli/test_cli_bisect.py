# SPDX-License-Identifier: GPL-2.0-only
"""`lab bisect`, and `lab run --bisect` under the real `git bisect run`: small real git trees, hosts in memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
from cli.bisecting import BEHAVIOUR, TOPOLOGY, BisectWiring
from cli.driving import ROOT, Done, Driver
from gitrepos import Repository

from lab.errors import ExitCode
from lab.recording import Recording


@pytest.fixture
def wiring(lab: Driver, tmp_path: Path) -> BisectWiring:
    lab.wiring = BisectWiring(tmp_path, lab.state_dir)
    return lab.wiring


@pytest.fixture
def tree(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "linux")


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "pair.yaml"
    path.write_text(TOPOLOGY.replace("TREE", "linux"))
    return path


def commit_all(tree: Repository, word: str) -> list[str]:
    """A commit for each letter: g(ood), b(ad), x (broken), l(ost), u(ndecided)."""
    words = {"g": "good", "b": "bad", "x": "broken", "l": "lost", "u": "undecided"}
    return [
        tree.commit(f"change {number}", {BEHAVIOUR: f"{words[letter]} {number}\n"})
        for number, letter in enumerate(word)
    ]


def ends(tree: Repository, line: list[str]) -> list[str | Path]:
    return ["--tree", tree.path, "--good", line[0], "--bad", line[-1]]


def test_a_commit_that_does_not_build_beside_the_planted_one_leaves_a_range(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path, tmp_path: Path
) -> None:
    line = commit_all(tree, "ggggggxbbbbb")
    done = lab("bisect", topology, *ends(tree, line), "-o", tmp_path / "out")
    assert done.code == ExitCode.UNDECIDED, done.err + done.out  # the broken one may be it
    assert "the first bad commit is one of these; all but the last were skipped:" in done.out
    assert line[6][:12] in done.out
    assert "  not built\n    kernel mine: compiling failed:\n    sched.c:1: error: expected ;\n" in done.out


def test_a_report_of_what_was_tried(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path, tmp_path: Path
) -> None:
    line = commit_all(tree, "ggxgggggbbbb")
    out = tmp_path / "out"
    done = lab("bisect", topology, *ends(tree, line), "-o", out)
    assert done.code == ExitCode.PASSED, done.err + done.out
    assert f"first bad commit: {line[8][:12]} change 8\n  its runs: 2 bad\n" in done.out
    assert f"its parent {line[7][:12]} change 7: 2 good" in done.out
    assert "sure: no run disagrees, 2 runs on either side" in done.out
    assert re.search(r"failed  steal .*guest1", done.out)
    assert {bench.directory for bench in wiring.benches} == {out / "build"}
    assert not (out / "build").exists()
    assert tree.git("worktree", "list").count("\n") == 0
    assert lab("bisect", "-o", out).out == done.out

    document = json.loads(lab("bisect", "-o", out, "--json").out)
    assert document["conclusion"]["commits"] == [line[8]]
    assert document["conclusion"]["sure"] is True
    by_commit = {one["commit"]: one for one in document["commits"]}
    assert by_commit[line[0]]["term"] == "good"
    assert by_commit[line[8]]["bad"] == 2
    (seen, *_) = by_commit[line[8]]["runs"][0]["seen"]
    assert (seen["outcome"], seen["phase"]) == ("failed", "contended")
    recording = Recording(out / by_commit[line[8]]["runs"][0]["recording"])
    assert recording.plan().kernels[0].source.ref == line[8]
    assert line[8] in recording.topology_text().splitlines()[0]


def test_a_finished_one_is_told_again_and_another_question_is_refused(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path, tmp_path: Path
) -> None:
    line = commit_all(tree, "ggbb")
    words = ["bisect", topology, *ends(tree, line), "-o", tmp_path / "out"]
    first = lab(*words)
    ran = len(wiring.ran)
    again = lab(*words)
    assert (again.code, again.out) == (first.code, first.out)
    assert len(wiring.ran) == ran
    other = lab(*words, "--votes", "3")
    assert other.code == ExitCode.BAD_INPUT
    assert "has another bisection: rules was" in other.err


def test_it_goes_on_where_the_host_let_it_down(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path
) -> None:
    line = commit_all(tree, "gggggbbbb")
    words = ["bisect", topology, *ends(tree, line)]
    real, calls = wiring.launch, 0

    def launch(plan):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 7:
            raise KeyboardInterrupt
        return real(plan)

    wiring.launch = launch  # type: ignore[method-assign]
    stopped = lab(*words)
    assert stopped.code == ExitCode.INTERRUPTED
    tried = len(wiring.ran)
    assert tried > 2
    done = lab(*words)
    assert done.code == ExitCode.PASSED, done.err
    assert f"first bad commit: {line[5][:12]}" in done.out
    assert "is it bad?" not in done.err


def test_undecided_runs_are_repeated_and_then_skipped(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path
) -> None:
    line = commit_all(tree, "gggbb")
    wiring.mood = deque(["undecided", "undecided"])
    done = lab("bisect", topology, *ends(tree, line))
    assert done.code == ExitCode.PASSED, done.err
    assert wiring.ran[:3] == ["undecided", "undecided", "bad"]
    assert f"first bad commit: {line[3][:12]}" in done.out

    never = lab("bisect", topology, *ends(tree, [*commit_all(tree, "gu"), line[-1]]), "--attempts", "2")
    assert never.code == ExitCode.BAD_INPUT  # the new commits come after the bad one
    line = commit_all(tree, "gggub")
    end = lab("bisect", topology, *ends(tree, line), "--attempts", "2")
    assert end.code == ExitCode.UNDECIDED
    assert wiring.ran.count("undecided") == 4
    assert "2 runs without a verdict; the last:" in end.err


def test_a_lost_guest_is_skipped_or_what_is_looked_for(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path
) -> None:
    line = commit_all(tree, "ggggll")
    skipped = lab("bisect", topology, *ends(tree, line))
    assert skipped.code == ExitCode.UNDECIDED
    assert "guest lost:" in skipped.out
    found = lab("bisect", topology, *ends(tree, line), "--lost-is-bad")
    assert found.code == ExitCode.PASSED, found.err
    assert f"first bad commit: {line[4][:12]}" in found.out


@pytest.mark.parametrize(("word", "said"), [("gg", "was given as bad, and is good"), ("bb", "given as good")])
def test_ends_are_checked_first(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path, word: str, said: str
) -> None:
    line = commit_all(tree, f"{word[0]}gg{word[1]}")
    done = lab("bisect", topology, *ends(tree, line))
    assert done.code == ExitCode.BAD_INPUT
    assert said in done.out


def test_what_cannot_be_bisected_is_told_before_anything_runs(
    lab: Driver, wiring: BisectWiring, tree: Repository, topology: Path, tmp_path: Path
) -> None:
    line = commit_all(tree, "ggbb")
    plain = tmp_path / "plain.yaml"
    plain.write_text(topology.read_text().split("expect")[0])
    (tmp_path / "no-git").mkdir()
    good_bad: list[str | Path] = ["--good", line[0], "--bad", line[-1]]
    for words, said in (
        ([], "-o DIR, or a TOPOLOGY is missing"),
        ([topology], "--tree is missing"),
        ([topology, "--tree", tree.path], "--bad is missing"),
        ([topology, "--tree", tree.path, "--bad", "main"], "--good is missing"),
        ([topology, "--tree", tmp_path / "no-git", *good_bad], "cannot be used as a git repository"),
        ([topology, "--tree", tree.path, "--good", "v0", "--bad", "main"], "there is no commit 'v0'"),
        ([topology, *ends(tree, line[::-1])], "is older than"),
        ([topology, *ends(tree, line), "--kernel", "yours"], "there is no kernel 'yours'"),
        ([topology, *ends(tree, line), "--votes", "0"], "--votes 0: expected 1 or more"),
        ([plain, *ends(tree, line)], "expects nothing: every commit would be good"),
        ([tmp_path / "typo.yaml", *ends(tree, line)], "typo.yaml"),
        (["-o", tmp_path / "nowhere"], "no bisection was carried out there"),
    ):
        done = lab("bisect", *words)
        assert done.code == ExitCode.BAD_INPUT, (words, done.err)
        assert said in done.err
    assert wiring.ran == []


# ---- under git


class GitRun:
    """`git bisect run lab run TOPOLOGY --bisect`, with the fakes of `cli.bisecting` behind `lab`."""

    def __init__(self, tree: Repository, directory: Path) -> None:
        self.tree, self.directory = tree, directory
        self.lab = [sys.executable, "-m", "cli.bisecting", str(directory)]
        self.env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}",
            "LAB_STATE_DIR": str(directory / "state"),
            "LAB_CACHE_DIR": str(directory / "cache"),
        }

    def start(self, line: list[str]) -> None:
        self.tree.git("bisect", "start", line[-1], line[0])

    def bisect(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Let git do it."""
        return self.tree.run(["git", "bisect", "run", *self.lab, *words], self.env, 300)

    def once(self, *words: str | Path) -> Done:
        """One run as git would do it."""
        done = self.tree.run([*self.lab, *map(str, words)], self.env)
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def ran(self) -> list[str]:
        """Behaviours of all runs."""
        return (self.directory / "ran").read_text().split()


@pytest.fixture
def git_run(tree: Repository, tmp_path: Path) -> GitRun:
    return GitRun(tree, tmp_path)


def test_git_bisect_run_finds_it_past_commits_that_do_not_build_or_boot(
    git_run: GitRun, tree: Repository, topology: Path
) -> None:
    line = commit_all(tree, "gxglggggbbxbb")
    git_run.start(line)
    done = git_run.bisect("run", str(topology), "--bisect")
    assert f"{line[8]} is the first bad commit" in done.stdout, done.stdout + done.stderr
    (kept,) = (git_run.directory / "state/bisections").iterdir()
    told = git_run.once("bisect", "-o", kept)
    assert told.code == ExitCode.PASSED, told.err
    assert f"{line[8][:12]}  bad " in told.out
    ran = git_run.ran
    assert git_run.once("run", topology, "--bisect").code in (0, 1)
    assert git_run.ran == ran  # what is decided is not run again


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ("good", 0),
        ("bad", 1),
        ("broken", 125),
        ("lost", 125),
        ("undecided", 125),
        ("unfit", 125),
        ("input", 125),
        ("bug", 125),
        ("ctrl-c", 130),
    ],
)
def test_codes_for_git(git_run: GitRun, tree: Repository, topology: Path, behaviour: str, code: int) -> None:
    tree.commit("one", {BEHAVIOUR: behaviour})
    done = git_run.once("run", topology, "--bisect")
    assert done.code == code, done.err
    assert "Traceback" not in done.err


def test_a_lost_guest_may_be_what_is_looked_for(git_run: GitRun, tree: Repository, topology: Path) -> None:
    tree.commit("one", {BEHAVIOUR: "lost"})
    assert git_run.once("run", topology, "--bisect", "--lost-is-bad").code == 1


def test_what_is_wrong_at_every_commit_stops_git(git_run: GitRun, tree: Repository, topology: Path) -> None:
    line = commit_all(tree, "ggggbbbb")
    git_run.start(line)
    unfit = topology.with_name("hopeless.yaml")
    unfit.write_text(topology.read_text().split("expect")[0])
    for words in (
        ["run", "typo.yaml", "--bisect"],
        ["run", str(unfit), "--bisect"],
        ["run", str(topology), "--bisect", "--votse", "3"],
        ["run", str(topology), "--bisect", "--votes", "many"],
        ["run", str(topology), "--bisect", "--votes", "0"],
        ["run", str(topology), "--bisect", "--json"],
        ["run", str(topology), "--bisect", "--host", "the-moon"],
        ["run", "--bisect"],
    ):
        assert git_run.once(*words).code == 255, words
        log = tree.git("bisect", "log")
        done = git_run.bisect(*words)
        assert "is < 0 or >= 128" in done.stderr, (words, done.stdout, done.stderr)
        assert tree.git("bisect", "log") == log
    assert not (git_run.directory / "ran").exists() or git_run.ran == []


def test_a_topology_that_comes_with_the_commits_is_skipped_where_it_is_wrong(
    git_run: GitRun, tree: Repository, topology: Path
) -> None:
    text = TOPOLOGY.replace("TREE", ".")
    line = [tree.commit("before it", {BEHAVIOUR: "good", "README": "soon"})]
    line.append(tree.commit("a typo in it", {"lab.yaml": text.replace("phases", "phrases")}))
    line += [tree.commit(f"change {n}", {"lab.yaml": text, BEHAVIOUR: f"good {n}"}) for n in range(3)]
    line += [tree.commit(f"worse {n}", {BEHAVIOUR: f"bad {n}"}) for n in range(3)]
    git_run.start(line)
    tree.git("checkout", "--quiet", line[1])
    assert git_run.once("run", "lab.yaml", "--bisect").code == 125
    tree.git("checkout", "--quiet", line[0])
    assert git_run.once("run", "lab.yaml", "--bisect").code == 125
    assert git_run.once("run", "typo.yaml", "--bisect").code == 255
    done = git_run.bisect("run", "lab.yaml", "--bisect")
    assert f"{line[5]} is the first bad commit" in done.stdout, done.stdout + done.stderr


def test_votes_are_counted_and_not_taken_again(git_run: GitRun, tree: Repository, topology: Path) -> None:
    line = commit_all(tree, "gggbbb")
    git_run.start(line)
    moods = git_run.directory / "mood"
    moods.write_text("good good bad undecided")
    decided = git_run.once("run", topology, "--bisect", "--votes", "5")
    assert decided.code in (0, 1), decided.err
    votes = git_run.ran
    assert votes[:4] == ["good", "good", "bad", "undecided"]
    assert git_run.once("run", topology, "--bisect", "--votes", "5").code == decided.code
    assert git_run.ran == votes


def test_a_tree_that_was_changed_on_top_is_another_one(
    git_run: GitRun, tree: Repository, topology: Path
) -> None:
    line = commit_all(tree, "gggb")
    git_run.start(line)
    here = git_run.once("run", topology, "--bisect")
    (tree.path / BEHAVIOUR).write_text("bad now")
    assert (here.code, git_run.once("run", topology, "--bisect").code) == (0, 1)


def test_nobody_reading_changes_no_verdict(git_run: GitRun, tree: Repository, topology: Path) -> None:
    tree.commit("one", {BEHAVIOUR: "bad"})
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*git_run.lab, "run", str(topology), "--bisect"],
            cwd=tree.path,
            env=git_run.env,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.returncode == 1, done.stderr
