# SPDX-License-Identifier: GPL-2.0-only
"""`lab top` without a screen: which lab it looks at, how it sees it, loses sight of it, and changes its knobs."""

from __future__ import annotations

import io
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.driving import Driver, FakeHost, FakeHypervisor, FakeShell
from faketop import FakeFollower, FakeSource, make_top_plan

from lab.cli import topeye
from lab.cli.desk import Desk, make_desk
from lab.cli.running import RunningLab, read_running
from lab.cli.terminal import Terminal
from lab.cli.top import collect
from lab.cli.topfiles import EventsFile, GuestsFile
from lab.cli.topfollower import Follower
from lab.cli.topknobs import LabBench
from lab.cli.toplabs import find_seen, title_of
from lab.cli.topsource import LabSource
from lab.errors import ExitCode, HostLost, InputError, KnobError, LabFailure
from lab.live.feed import Look
from lab.live.step import Restarted, Said, Trouble, Update
from lab.plan.domainxml import GuestPaths
from lab.plan.labplan import HOST_SCOPE, LabPlan, render_plan_json
from lab.run.boot import GuestFiles, write_guests
from lab.run.experiment import RECORDING_POINTER
from lab.run.ports import AgentEvent
from lab.run.records import LabState

DEADLINE_S = 20.0


def until(what: str, done: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.02)


def files_of(node: str, boot: int = 0) -> GuestFiles:
    paths = GuestPaths("k", "i", "r", f"/lab/{node}.console", f"/lab/{node}.sock", "")
    return GuestFiles(paths, f"/run/{node}.pid", f"/lab/{node}.stream", boot)


@pytest.fixture
def desk(state_dir: Path) -> Desk:
    return make_desk(lambda *_: pytest.fail("no real wiring"))


@pytest.fixture
def make_lab(desk: Desk) -> Callable[..., RunningLab]:
    """A lab of these records, as a run or `lab up` leaves it."""

    def make(state: LabState, lab_id: str = "abc123", name: str = "fake") -> RunningLab:
        plan = replace(make_top_plan(), lab_id=lab_id, name=name)
        record = desk.records.update(desk.records.create(plan, "/lab"), state)
        directory = desk.records.directory(lab_id)
        (directory / "plan.json").write_text(render_plan_json(plan))
        (directory / "host_keys").write_text("".join(f"{one.name} KEY\n" for one in plan.nodes))
        write_guests(directory, {one.name: files_of(one.name) for one in plan.nodes})
        return read_running(desk, record)

    return make


# ---- which lab


@pytest.mark.parametrize("state", [LabState.UP, LabState.RUNNING])
def test_the_only_lab_is_meant(desk: Desk, make_lab: Callable[..., RunningLab], state: LabState) -> None:
    make_lab(state)
    seen = find_seen(desk, None)
    assert seen.record.lab_id == "abc123" and seen.record.state is state
    assert find_seen(desk, "fake").record == seen.record == find_seen(desk, "abc123").record
    assert ("a run of process" in title_of(seen)) == (state is LabState.RUNNING)


def test_several_labs_must_be_told_apart(desk: Desk, make_lab: Callable[..., RunningLab]) -> None:
    make_lab(LabState.UP)
    make_lab(LabState.RUNNING, "def456", "other")
    with pytest.raises(InputError, match="several labs fit"):
        find_seen(desk, None)
    assert find_seen(desk, "other").record.lab_id == "def456"
    with pytest.raises(InputError, match=r"no lab third is up or running \(there are: fake"):
        find_seen(desk, "third")


def test_without_a_lab(lab: Driver) -> None:
    done = lab("top")
    assert done.code == ExitCode.BAD_INPUT and "no lab is up or running (there are: none)" in done.err
    assert "lab status" in done.err


def test_a_lab_that_starts_is_waited_for(desk: Desk, make_lab: Callable[..., RunningLab]) -> None:
    said = io.StringIO()
    desk.terminal = Terminal(said)
    starting = make_lab(LabState.STARTING).record
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            desk.records.update(starting, LabState.RUNNING)

    assert find_seen(desk, None, sleep=sleep).record.state is LabState.RUNNING
    assert len(waits) == 3 and said.getvalue().count("lab fake is starting: waiting") == 1


def test_with_wait_any_lab_is_waited_for(desk: Desk, make_lab: Callable[..., RunningLab]) -> None:
    def sleep(_seconds: float) -> None:
        make_lab(LabState.RUNNING)

    assert find_seen(desk, "fake", wait=True, sleep=sleep).record.name == "fake"


# ---- files


def test_guests_that_were_started_anew_are_seen(tmp_path: Path) -> None:
    guests = GuestsFile(tmp_path)
    assert guests.changed() == []
    write_guests(tmp_path, {"a": files_of("a"), "b": files_of("b")})
    assert guests.changed() == ["a", "b"] and guests.changed() == []
    write_guests(tmp_path, {"a": files_of("a"), "b": files_of("b", 1)})
    assert guests.changed() == ["b"] and guests.guests["b"].boot == 1


def test_events_are_read_as_they_come_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = EventsFile(path)
    assert list(events.new()) == []
    path.write_text('{"t_ns": 1, "kind": "note", "text": "a"}\nnonsense\n[1]\n{"t_ns": 2, "ki')
    assert [(one.t_ns, one.data) for one in events.new()] == [(1, {"text": "a"})]
    with path.open("a") as file:
        file.write('nd": "note", "text": "b"}\n')
    assert [(one.t_ns, one.data) for one in events.new()] == [(2, {"text": "b"})]


# ---- the follower


SPEAKS = """
import sys
print("pvfollow 1 every_ms=1000", flush=True)
for line in sys.stdin:
    print("c told " + line.strip())
    print("z 5 6", flush=True)
"""


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_a_follower_is_told_and_tells() -> None:
    follower = Follower(python(SPEAKS))
    try:
        follower.say("stream a b")
        found: list[Look] = []
        until("a look", lambda: bool(found.extend(follower.looks()) or found))
        assert found[0].texts == {"told": ("stream a b",)}
    finally:
        follower.stop()
    assert follower.status == 0


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "import sys; sys.exit('Connection refused')",
            "the connection to the host ended: Connection refused",
        ),
        (
            "print('Welcome to a machine', flush=True); input()",
            "expected a line that begins with 'pvfollow 1 '",
        ),
    ],
)
def test_a_follower_that_ends_says_why(script: str, message: str) -> None:
    follower = Follower(python(script))
    try:
        follower._reader.join(DEADLINE_S)
        with pytest.raises(HostLost, match=message):
            follower.looks()
        until("its end", lambda: follower.status is not None)
        with pytest.raises(HostLost, match=message):
            follower.say("x")
    finally:
        follower.stop()


def test_a_follower_that_hangs_is_ended() -> None:
    follower = Follower(python("import time; time.sleep(1000)"))
    follower.stop()
    assert follower.status == -signal.SIGKILL


# ---- the eye and the source


class FakeProgram:
    """`pvprobe follow` as a script that logs what it was told into a file and says what a fake follower says."""

    def __init__(self, directory: Path, plan: LabPlan, seconds: int = 1000, status: int = 0) -> None:
        self.said = directory / "said"
        follower = FakeFollower(plan)
        blocks = [follower.hello(), *(follower.speak() for _ in range(min(seconds, 200)))]
        (directory / "lines").write_text("\0".join("\n".join(block) + "\n" for block in blocks))
        self.path = directory / "follower.py"
        self.path.write_text(
            "import sys, threading, time\n"
            f"log = open({str(self.said)!r}, 'a', buffering=1)\n"
            "def listen():\n"
            "    for line in sys.stdin: log.write(line)\n"
            "    import os; os._exit(0)\n"
            "threading.Thread(target=listen, daemon=True).start()\n"
            f"for block in open({str(directory / 'lines')!r}).read().split('\\0'):\n"
            "    print(block, end='', flush=True); time.sleep(0.05)\n"
            f"sys.exit({status})\n"
        )

    def commands(self) -> list[str]:
        return self.said.read_text().splitlines() if self.said.exists() else []


class ToldAgent:
    """A probe that does nothing, and says what a test says."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.commands: list[str] = []
        self._said: deque[AgentEvent] = deque()

    def send(self, line: str) -> None:
        self.commands.append(line)

    def say(self, kind: str, *words: str) -> None:
        self._said.append(AgentEvent(kind, words))

    def events(self, _timeout_s: float) -> Iterator[AgentEvent]:
        while self._said:
            yield self._said.popleft()


class World:
    """A desk whose hosts are fakes and whose host commands run here."""

    def __init__(self, desk: Desk, program: FakeProgram, monkeypatch: pytest.MonkeyPatch) -> None:
        self.agent: ToldAgent | None = None
        self.staged: list[Path] = []
        self.opened = 0
        self.argv: list[str] = []
        self.kernel_shell = FakeShell({})
        self.host = FakeHost({}, FakeHypervisor({}, {}))
        self.host.stage = self._stage  # type: ignore[attr-defined]
        self.host.start_agent = self._start_agent  # type: ignore[attr-defined]
        self.host.shell.answers["rm -f"] = ""  # type: ignore[index]
        self.console = program.said.with_name("host-console")
        desk.wiring = SimpleNamespace(
            host_vm=SimpleNamespace(console_log=self.console),
            reopen_host=self._reopen,
            probe_file=lambda: Path("/probe"),
            staged_probe=lambda _record: "pvprobe",
        )
        self._program = program
        monkeypatch.setattr(topeye, "machine_command", self._command)

    @contextmanager
    def _reopen(self, _record: object) -> Iterator[FakeHost]:
        self.opened += 1
        yield self.host

    def _stage(self, source: Path) -> str:
        self.staged.append(source)
        return "/store/pvprobe"

    @contextmanager
    def _start_agent(self, stream: str, _interval_ms: int) -> Iterator[ToldAgent]:
        self.agent = ToldAgent(stream)
        yield self.agent

    def _command(self, _desk: Desk, _lab: RunningLab, node: str, command: str) -> list[str]:
        assert node == HOST_SCOPE
        self.argv = shlex.split(command)
        return [sys.executable, str(self._program.path)]


def told(update: Update) -> str:
    return str(getattr(update, "text", ""))


def collect_news(source: LabSource, into: list[Update]) -> list[Update]:
    into += source.news()
    return into


def test_a_run_is_read_along_and_nothing_else(
    desk: Desk, make_lab: Callable[..., RunningLab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(LabState.RUNNING)
    recording = tmp_path / "recording"
    recording.mkdir()
    (lab.directory / RECORDING_POINTER).write_text(f"{recording}\n")
    (recording / "events.jsonl").write_text('{"t_ns": 1, "kind": "note", "text": "a"}\n')
    program = FakeProgram(tmp_path, lab.plan)
    world = World(desk, program, monkeypatch)
    source = LabSource(desk, lab, 1000)
    source.start()
    news: list[Update] = []
    until("looks", lambda: sum(isinstance(one, Look) for one in collect_news(source, news)) >= 3)
    until("the event", lambda: any(getattr(one, "kind", "") == "note" for one in collect_news(source, news)))
    write_guests(lab.directory, {"guest1": files_of("guest1"), "guest2": files_of("guest2", 1)})
    until("the restart", lambda: Restarted("guest2") in collect_news(source, news))
    source.close()
    assert world.opened == 0 and world.agent is None
    assert world.argv[:4] == ["exec", "pvprobe", "follow", "--every"]
    assert world.argv[-4:] == ["--pid", "/lab/top.pid", "--parent-pid", "/lab/top-link.pid"]
    said = program.commands()
    assert said[:5] == [
        f"stream {HOST_SCOPE} /lab/host.stream",
        "stream guest1 /lab/guest1.stream",
        "text guest1 /lab/guest1.console",
        "stream guest2 /lab/guest2.stream",
        "text guest2 /lab/guest2.console",
    ]
    assert said[5:] == said[3:5]  # the guest that was started anew, and it alone


def test_a_lab_that_is_up_gets_a_probe_for_as_long(
    desk: Desk, make_lab: Callable[..., RunningLab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(LabState.UP)
    program = FakeProgram(tmp_path, lab.plan)
    world = World(desk, program, monkeypatch)
    world.console.write_text("x" * 9000 + "\nLinux\r\nhal")
    monkeypatch.setattr("lab.cli.topsource._HEARD_S", 1.0)
    source = LabSource(desk, lab, 1000)
    source.start()
    news: list[Update] = []
    until("looks", lambda: sum(isinstance(one, Look) for one in collect_news(source, news)) >= 3)
    until("the host", lambda: any(isinstance(one, Said) for one in collect_news(source, news)))
    assert next(one.lines for one in news if isinstance(one, Said))[1:] == ("Linux",)
    assert world.agent is not None
    world.agent.say("ready", "guest1", "5")
    world.agent.say("error", "-", "no", "room")
    until(
        "the complaint",
        lambda: any("no room" in getattr(one, "text", "") for one in collect_news(source, news)),
    )
    until(
        "word of guest2",
        lambda: any("guest2 is not heard" in told(one) for one in collect_news(source, news)),
    )
    assert not any("guest1 is not heard" in told(one) for one in news)
    source.close()
    assert [one.split()[:2] for one in world.agent.commands] == [["guest", "guest1"], ["guest", "guest2"]]
    host_stream, guest_stream = program.commands()[0].split(), program.commands()[1].split()
    assert host_stream[:2] == ["stream", HOST_SCOPE] and host_stream[2] == world.agent.stream
    assert guest_stream[2].startswith("/lab/top-") and guest_stream[3] == str(1 << 20)
    assert any(one.startswith("rm -f /lab/top-") for one in world.host.shell.commands)


def test_sight_that_is_lost_is_told_and_found_again(
    desk: Desk, make_lab: Callable[..., RunningLab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(LabState.RUNNING)
    world = World(desk, FakeProgram(tmp_path, lab.plan, seconds=2, status=1), monkeypatch)
    monkeypatch.setattr("lab.cli.topsource._RETRY_S", 0.1)
    source = LabSource(desk, lab, 1000)
    source.start()
    news: list[Update] = []
    until("looks after a loss", lambda: _looks_after_loss(collect_news(source, news)))
    desk.records.remove(lab.record)
    until("the end", lambda: Trouble("the lab has ended (q quits)") in collect_news(source, news))
    source.close()
    assert world.opened == 0


def _looks_after_loss(news: Sequence[Update]) -> bool:
    lost = [
        number for number, one in enumerate(news) if isinstance(one, Trouble) and "trying again" in one.text
    ]
    return bool(lost) and any(isinstance(one, Look) for one in news[lost[0] :])


def test_a_host_with_another_probe_is_brought_this_one(
    desk: Desk, make_lab: Callable[..., RunningLab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(LabState.RUNNING)
    world = World(desk, FakeProgram(tmp_path, lab.plan, seconds=0, status=127), monkeypatch)
    source = LabSource(desk, lab, 1000)
    source.start()
    news: list[Update] = []
    until(
        "the word",
        lambda: any("another version" in getattr(n, "text", "") for n in collect_news(source, news)),
    )
    source.close()
    assert world.opened >= 1 and world.staged[0] == Path("/probe")


# ---- one frame


def test_a_frame_is_printed_where_nobody_looks(
    lab: Driver,
    desk: Desk,
    make_lab: Callable[..., RunningLab],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = make_lab(LabState.RUNNING)
    World(desk, FakeProgram(tmp_path, running.plan), monkeypatch)
    lab.wiring = desk.wiring
    done = lab("top", "fake")
    assert done.code == ExitCode.PASSED, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("fake (abc123) on nested: a run of process")
    assert any(line.startswith("guest2.1") and "50.0%" in line for line in lines)
    assert max(map(len, lines)) <= 80 and "\x1b" not in done.out


def test_a_frame_does_not_wait_for_ever() -> None:
    follower = FakeFollower(make_top_plan())
    follower.silent = {"guest2"}
    source = FakeSource(follower)
    source.pass_seconds(3)
    state = collect(source, 0.3, 10)
    assert "guest2" not in state.heard and "guest1" in state.heard
    with pytest.raises(LabFailure, match="nothing was heard of lab fake"):
        collect(FakeSource(follower), 0.1, 0.3)


# ---- knobs


def test_knobs_of_a_run_are_not_touched(desk: Desk, make_lab: Callable[..., RunningLab]) -> None:
    bench = LabBench(desk, make_lab(LabState.RUNNING), lambda _text: None)
    assert "runs an experiment in this lab" in bench.refusal


@pytest.fixture
def knobs(
    desk: Desk, make_lab: Callable[..., RunningLab]
) -> Iterator[tuple[LabBench, dict[str, FakeShell], list[str]]]:
    lab = make_lab(LabState.UP)
    shells = {one.address: FakeShell({}) for one in lab.plan.nodes}
    host = FakeHost(shells, FakeHypervisor({}, {}))
    host.stage = lambda source: str(source)  # type: ignore[attr-defined]

    @contextmanager
    def reopen(_record: object) -> Iterator[Any]:
        yield host

    desk.wiring = SimpleNamespace(reopen_host=reopen)
    told: list[str] = []
    yield LabBench(desk, lab, told.append), {one.name: shells[one.address] for one in lab.plan.nodes}, told


def test_knobs_are_read_and_written_by_transactions(
    desk: Desk, knobs: tuple[LabBench, dict[str, FakeShell], list[str]]
) -> None:
    bench, shells, told = knobs
    path = "/sys/kernel/mm/ksm/run"
    shells["guest1"].kernel.values[path] = "0"
    assert bench.refusal == ""
    said = bench.write("guest1", path, "1")
    assert said == f"guest1 {path}: 0 -> 1" and told == [said]
    assert shells["guest1"].kernel.values[path] == "1"
    assert "ksm" in next(desk.records.directory("abc123").glob("*knob*")).read_text()
    with pytest.raises(KnobError):
        bench.write("guest2", path, "1")
    assert told == [said]


def test_a_knob_on_the_command_line_is_left_to_its_verb(
    knobs: tuple[LabBench, dict[str, FakeShell], list[str]],
) -> None:
    bench, _, _ = knobs
    with pytest.raises(InputError, match="starts guest1 anew") as caught:
        bench.write("guest1", "nohz_full", "1")
    assert "lab knob set guest1" in str(caught.value.hint)


def test_textual_is_loaded_by_the_screen_alone() -> None:
    script = (
        "import sys, lab.cli.main, lab.cli.top, lab.cli.topsource, lab.cli.topknobs, lab.live.text\n"
        "sys.exit('textual' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
