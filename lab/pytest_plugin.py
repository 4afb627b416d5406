# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: a running lab as a fixture.

    pytestmark = pytest.mark.lab("topologies/quickstart.yaml")

    def test_both_wait(lab):
        lab.load("busy").start()
        assert lab.measure("contended", seconds=20).steal("guest1", 0) > 40

Labs are shared by the marker's `scope`. What happens to the *environment* (a lost guest or host, an unfit
host, a measurement that cannot decide) is an error of the test, never a failure.

Everything that knows libvirt, ssh or numbers is imported when a test asks for a lab: this module is loaded
into every pytest run of an environment that has the project installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.run.interactive import LabSession, SessionSlot
    from lab.run.lab import Lab
    from lab.topology.model import Topology

    #: Brings a topology up on a host (None: as the topology says).
    LabOpener = Callable[[Topology, str | None], AbstractContextManager[Lab]]

_SCOPES = ("function", "class", "module", "session")
_POOL = pytest.StashKey["LabPool"]()
_USED = pytest.StashKey["LabSession"]()
_UNDECIDED = pytest.StashKey[dict[str, bool]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options."""
    group = parser.getgroup("lab", "paravirt-lab")
    group.addoption("--lab-host", metavar="WHERE", help="host for all labs: auto, local, nested, ssh://...")
    group.addoption(
        "--lab-recordings",
        metavar="DIR",
        default="lab-recordings",
        help="where recordings go (default: lab-recordings below the root directory)",
    )
    group.addoption(
        "--lab-keep-recordings",
        action="store_true",
        help="keep every recording, not only those of tests that failed",
    )
    group.addoption(
        "--lab-undecided",
        metavar="FILE",
        help="write the ids of tests that an environment failed under, a line each, where nothing else failed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "lab(topology, host=None, scope='module'): the topology that the `lab` fixture brings up; "
        "tests of one function, class, module or session share it",
    )


# ---- labs


class LabPool:
    """The labs of one pytest run, one for each topology, host and instance of a scope."""

    def __init__(self, config: pytest.Config, opener: LabOpener) -> None:
        self._config = config
        self._opener = opener
        self._slots: dict[tuple[Path, str | None, str], SessionSlot] = {}

    def get(self, topology: Path, where: str | None, scope: pytest.Collector | pytest.Item) -> LabSession:
        """The lab for a test; it ends with the node `scope`."""
        key = (topology, where, scope.nodeid)
        if key not in self._slots:
            self._slots[key] = self._new_slot(topology, where)
            scope.addfinalizer(lambda: self._slots.pop(key).close())
        return self._slots[key].get()

    def _new_slot(self, path: Path, where: str | None) -> SessionSlot:
        from lab.run.interactive import SessionSlot
        from lab.topology.decode import read_topology

        topology = read_topology(path)
        return SessionSlot(lambda: self._open(topology, where))

    @contextmanager
    def _open(self, topology: Topology, where: str | None) -> Iterator[LabSession]:
        from lab.run.interactive import open_session

        with self._opener(topology, where) as lab:
            directory = self._recordings() / f"{lab.plan.name}-{lab.plan.lab_id}"
            with open_session(lab, topology.text, directory, LogNarrator()) as session:
                session.keep_recording = self._config.getoption("lab_keep_recordings")
                yield session

    def _recordings(self) -> Path:
        return Path(self._config.rootpath, self._config.getoption("lab_recordings"))


class LogNarrator:
    """Tells the log (`pytest --log-cli-level=INFO` shows it as it happens): a Narrator and a Progress."""

    def __init__(self) -> None:
        import logging

        self._logger = logging.getLogger("lab")

    def say(self, text: str) -> None:
        """Something happened."""
        self._logger.info("%s", text)

    def step(self, what: str) -> None:
        """A long step begins."""
        self._logger.info("%s", what)

    def update(self, done: float | None, text: str) -> None:
        """How far the step is: too much for a log."""


@contextmanager
def open_real_lab(topology: Topology, where: str | None) -> Iterator[Lab]:
    """A lab on a real host, everything built that is missing."""
    from lab.places import find_places
    from lab.run.events import Journal
    from lab.run.lab import open_lab
    from lab.wiring import Wiring

    narrator = LogNarrator()
    wiring = Wiring(find_places(os.environ), narrator, narrator)
    with wiring.open_host(where or topology.host.where) as host:
        plan = wiring.plan(topology, host.facts)
        around = wiring.surroundings(wiring.launch(plan))
        with open_lab(host, plan, around, Journal()) as lab:
            yield lab


# ---- fixtures


@pytest.fixture(scope="session")
def lab_opener() -> LabOpener:
    """How labs are brought up. Override it to run tests on something else than real guests."""
    return open_real_lab


@pytest.fixture
def lab(request: pytest.FixtureRequest, lab_opener: LabOpener) -> Iterator[LabSession]:
    """The lab of the test's `lab` marker, as it was brought up: what earlier tests changed was taken back."""
    session = _get_session(request, lab_opener)
    request.node.stash[_USED] = session
    measured = len(session.phases)
    yield session
    request.node.user_properties += _properties(session, measured)
    session.reset()


def _get_session(request: pytest.FixtureRequest, lab_opener: LabOpener) -> LabSession:
    from lab.errors import LabError

    pool = request.config.stash.setdefault(_POOL, LabPool(request.config, lab_opener))
    try:
        return pool.get(*_wanted(request))
    except LabError as error:
        told = _render(error)
    pytest.fail(told, pytrace=False)  # outside of the handler: what was raised is told already


def _render(error: Any) -> str:
    hint = f"\n{error.hint}" if error.hint else ""
    return f"{type(error).__name__}: {error.message}{hint}"


def _wanted(request: pytest.FixtureRequest) -> tuple[Path, str | None, pytest.Collector | pytest.Item]:
    marker = request.node.get_closest_marker("lab")
    if marker is None:
        pytest.fail(
            "the lab fixture needs a topology: mark the test or its module with "
            'pytest.mark.lab("path/of/topology.yaml")',
            pytrace=False,
        )
    topology, host, scope = _read_marker(*marker.args, **marker.kwargs)
    where = request.config.getoption("lab_host") or host
    return _find_topology(request, topology), where, _scope_node(request.node, scope)


def _read_marker(
    topology: str, host: str | None = None, scope: str = "module"
) -> tuple[str, str | None, str]:
    if scope not in _SCOPES:
        pytest.fail(f"pytest.mark.lab: scope {scope!r} is none of {', '.join(_SCOPES)}", pytrace=False)
    return topology, host, scope


def _find_topology(request: pytest.FixtureRequest, topology: str) -> Path:
    beside, below_root = request.path.parent / topology, request.config.rootpath / topology
    return beside if beside.exists() else below_root


def _scope_node(item: pytest.Item, scope: str) -> pytest.Collector | pytest.Item:
    """The node of pytest's tree with which the lab ends; a class scope outside of a class is the test's own."""
    if scope == "session":
        return item.session
    if scope == "module":
        return item.getparent(pytest.Module) or item
    return (item.getparent(pytest.Class) if scope == "class" else None) or item


def _properties(session: LabSession, since: int) -> Iterator[tuple[str, str]]:
    """For JUnit files: which lab it was, and what was measured in this test."""
    yield "lab_id", session.lab_id
    yield "lab_recording", str(session.recording)
    for phase in session.phases[since:]:
        for steal in phase.steals:
            name = f"steal/{phase.name}/{steal.window.node}/{steal.window.vcpu}"
            for side, value in (("guest_pct", steal.guest_pct), ("host_pct", steal.host_pct)):
                if value is not None:
                    yield f"{name}/{side}", f"{value:.2f}"
            if steal.doubts:
                yield f"{name}/doubts", "; ".join(steal.doubts)


# ---- reports


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep and name the recording of a failed test, and tell losses of the environment from failures."""
    report = yield
    if report.failed:
        undecided = item.config.stash.setdefault(_UNDECIDED, {})
        environment = call.excinfo is not None and _is_environment(call.excinfo.value)
        undecided[item.nodeid] = environment and undecided.get(item.nodeid, True)
    if report.failed and _USED in item.stash:
        session = item.stash[_USED]
        session.keep_recording = True
        report.sections.append(("lab recording", str(session.recording)))
    if (
        report.failed
        and call.when == "call"
        and call.excinfo is not None
        and _is_environment(call.excinfo.value)
    ):
        # pytest counts what goes wrong outside of the call as an error: terminal, exit status and JUnit agree.
        report.when = "setup"
        report.sections.append(("lab", "the environment failed while the test ran; the test decided nothing"))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down what is worth another run: tests that decided nothing, unless one has decided already."""
    path = session.config.getoption("--lab-undecided")
    if path is not None:
        undecided = session.config.stash.get(_UNDECIDED, {})
        ids = undecided if all(undecided.values()) else ()
        Path(path).write_text("".join(f"{one}\n" for one in ids))


def _is_environment(error: BaseException) -> bool:
    errors = sys.modules.get("lab.errors")
    if errors is None:
        return False
    if isinstance(error, errors.GuestPanicked):
        return False  # the kernel under test did it
    return isinstance(error, errors.Lost | errors.HostError | errors.UndecidedError)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain `steal < 5`."""
    measured = sys.modules.get("lab.judge.measured")
    if measured is None:
        return None
    told = [one for one in (left, right) if isinstance(one, measured.Steal)]
    if not told:
        return None
    sides = [_short(one, measured.Steal) for one in (left, right)]
    return [f"{sides[0]} {op} {sides[1]}", *(line for one in told for line in one.explain())]


def _short(value: object, steal_type: type) -> str:
    return "steal" if isinstance(value, steal_type) else repr(value)
