# SPDX-License-Identifier: GPL-2.0-only
"""Every kind of malformed topology under tests/data/bad is told with its line and what is wrong.

Each file states what it expects in comments: ``# expect: LINE: PATH: part of the message``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.errors import ExitCode, Problem, TopologyError
from lab.topology.decode import read_topology

BAD = Path(__file__).parents[2] / "data" / "bad"
FILES = sorted(BAD.glob("*.yaml"))
EXPECT = re.compile(r"^# expect: (\d+): (.+)$", re.MULTILINE)


def _problems(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(TopologyError) as raised:
        read_topology(path)
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    return raised.value.problems


def _matches(problem: Problem, line: int, part: str) -> bool:
    return problem.line == line and part in f"{problem.path}: {problem.message}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_problem_has_its_line_and_message_and_there_is_no_other(path: Path) -> None:
    expected = [(int(line), part) for line, part in EXPECT.findall(path.read_text())]
    problems = _problems(path)
    assert expected
    for line, part in expected:
        assert any(_matches(problem, line, part) for problem in problems), (line, part, problems)
    for problem in problems:
        assert any(_matches(problem, line, part) for line, part in expected), f"not expected: {problem}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_line_of_the_message_names_file_and_line(path: Path) -> None:
    with pytest.raises(TopologyError) as raised:
        read_topology(path)
    for text in str(raised.value).splitlines():
        assert re.match(re.escape(str(path)) + r":\d+: [^ ]+: .", text)


def test_there_are_enough_kinds() -> None:
    assert len(FILES) >= 34


def test_five_errors_in_one_file_are_all_told() -> None:
    problems = _problems(BAD / "five-errors.yaml")
    assert len(problems) == 5
    assert list(problems) == sorted(problems)
    assert len({problem.line for problem in problems}) == 5
