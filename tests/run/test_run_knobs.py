# SPDX-License-Identifier: GPL-2.0-only
"""Transactions on knobs: what is on disk when, what is put back, and what is told of a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakehost import FakeHost
from fakeknob import FakeKernel
from fakeworld import HOST_KNOB, HOST_VALUE, MASK, Fault, make_plan
from run.bench import Bench

from lab.errors import GuestLost, KnobError, LabError, LabFailure
from lab.knobs.load import shipped_registry
from lab.plan.knobs import HOST, Owner, plan_knob
from lab.plan.labplan import HOST_SCOPE, KnobSetting
from lab.run.events import Journal
from lab.run.gc import collect_orphans
from lab.run.knobclaims import HostClaims, is_same_thing
from lab.run.knobjournal import KnobEntry, KnobJournal
from lab.run.knobmachines import KnobMachine
from lab.run.knobs import KnobChange, KnobDriver, KnobSkipped
from lab.run.knobtexts import KnobAbsentError, KnobHeldError, KnobRefusedError
from lab.run.lab import end_lab, keep_lab, open_lab
from lab.run.ports import CommandResult
from lab.run.records import LabRecords, LabState, ProcessName, this_process

GUEST = Owner("guest1", 4, "lab-x-guest1")
PERIOD = "/sys/period"
LISTED = "/sys/listed"


class Machine:
    """A guest's shell that knows pvknob only; `before` is called with every command before it is obeyed."""

    def __init__(self) -> None:
        self.kernel = FakeKernel({MASK: "", PERIOD: "7", LISTED: "always [madvise] never"}, "boot-1")
        self.commands: list[list[str]] = []
        self.before: Callable[[list[str]], None] = lambda words: None
        self.log = ""

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        words = command.split()[1:]
        self.commands.append(words)
        self.before(words)
        done = self.kernel.run([word.strip("'") for word in words], len(self.commands) * 1000)
        return replace(done, stdout=done.stdout + self.log)

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        raise AssertionError

    fetch = put

    def close(self) -> None:
        pass

    def verbs(self) -> list[str]:
        return [next(word for word in words if word in ("get", "set")) for words in self.commands]


class Subject:
    """A driver on one machine, its journal, and what it told."""

    def __init__(self, directory: Path) -> None:
        self.machine = Machine()
        self.directory = directory
        self.journal = KnobJournal(directory)
        self.told: list[KnobChange | KnobSkipped] = []
        self.driver = self.another()

    def another(self, owner: ProcessName | None = None) -> KnobDriver:
        """A driver as another process has it."""

        def machines(name: str) -> KnobMachine:
            return KnobMachine(name, self.machine, "pvknob", "/fence")

        claims = HostClaims(LabRecords(self.directory), self.directory, "me", "local")
        return KnobDriver(self.journal, machines, shipped_registry(), claims, owner)

    def write(self, *settings: KnobSetting) -> None:
        with self.driver.writing() as writer:
            writer.write(settings, self.told.append)

    def restore(self, since: int = 0) -> list[tuple[str, str]]:
        with self.another().writing() as writer:
            return [(one.entry.knob, one.new) for one in writer.restore("guest1", since)]

    def value(self, place: str) -> str:
        return self.machine.kernel.values[place]


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject(tmp_path)


def avoid(value: str, **more: bool) -> KnobSetting:
    (setting,) = plan_knob(GUEST, "avoid_cpus", value, shipped_registry(), **more)  # type: ignore[arg-type]
    return setting


def at(place: str, value: str) -> KnobSetting:
    (setting,) = plan_knob(GUEST, place, value, shipped_registry())
    return setting


# ---- writing


def test_a_change_is_told_in_the_knobs_own_unit_and_with_its_place(subject: Subject) -> None:
    subject.machine.kernel.values = {"/sys/devices/system/cpu/preferred": "0-3"}
    subject.write(avoid("1,2"))
    (change,) = subject.told
    assert isinstance(change, KnobChange)
    assert (change.old, change.new, change.raw_old, change.raw_new) == ("", "1-2", "0-3", "0,3")
    assert change.place == "/sys/devices/system/cpu/preferred"
    assert change.candidate.generation == "steal-governor-v8"
    assert change.t0_ns < change.t1_ns


def test_the_old_value_is_on_disk_before_the_new_one_is_written(subject: Subject) -> None:
    seen: list[list[tuple[str, str, str]]] = []

    def look(words: list[str]) -> None:
        if "set" in words:
            seen.append([(one.old, one.wanted, one.state) for one in subject.journal.entries()])

    subject.machine.before = look
    subject.write(at(PERIOD, "9"))
    assert seen == [[("7", "9", "begun")]]
    (entry,) = subject.journal.entries()
    assert (entry.state, entry.machine, entry.boot_id, entry.is_open) == ("written", "guest1", "boot-1", True)


def test_a_knob_that_was_written_before_is_written_at_once(subject: Subject) -> None:
    subject.write(avoid("1"))
    subject.write(avoid("2"))
    subject.write(avoid(""))
    assert subject.machine.verbs() == ["get", "set", "set", "set"]
    assert len(subject.journal.entries()) == 1
    assert subject.restore() == []
    assert subject.value(MASK) == ""


def test_after_another_start_it_is_looked_at_again(subject: Subject) -> None:
    subject.write(at(PERIOD, "9"))
    subject.machine.kernel.boot_id = "boot-2"
    subject.machine.kernel.values[PERIOD] = "5"
    subject.write(at(PERIOD, "8"))
    assert subject.machine.verbs() == ["get", "set", "set", "get", "set"]
    assert subject.restore() == [(PERIOD, "5")]


def test_of_a_list_of_choices_the_chosen_one_is_compared_and_put_back(subject: Subject) -> None:
    choices = ("always [madvise] never", "always madvise [never]")
    kernel = subject.machine.kernel
    plain = kernel._set_one

    def set_one(word: str, value: str, now_ns: int) -> str:
        line = plain(word, value, now_ns)
        if kernel.place(word) == LISTED:
            kernel.values[LISTED] = choices[value == "never"]
            line = line.replace(f"new={value}", "new=" + kernel.values[LISTED].replace(" ", "\\x20"))
        return line

    kernel._set_one = set_one  # type: ignore[method-assign]
    subject.write(at(LISTED, "never"))
    assert subject.value(LISTED) == choices[1]


def test_several_machines_knobs_of_one_node_go_in_order_with_two_commands(subject: Subject) -> None:
    subject.write(at(PERIOD, "1"), avoid("1"), at(LISTED, "x"))
    assert subject.machine.verbs() == ["get", "set"]
    assert [place for place, _ in subject.machine.kernel.written] == [PERIOD, MASK, LISTED]


# ---- what the kernel does not have


def test_a_knob_that_is_nowhere_lists_where_it_was_looked_for(subject: Subject) -> None:
    subject.machine.kernel.values = {}
    with pytest.raises(KnobAbsentError) as caught:
        subject.write(at(PERIOD, "1"), avoid("1"))
    with pytest.raises(KnobAbsentError) as caught:
        subject.write(avoid("1"))
    for place in ("/sys/devices/system/cpu/preferred", "/sys/devices/system/cpu/paravirt"):
        assert f"{place}: No such file or directory (ENOENT)" in caught.value.message
    assert "steal-governor-v8" in caught.value.message
    assert caught.value.hint == "`lab knob probe guest1` shows what the kernel has"
    assert subject.journal.entries() == ()


def test_an_optional_knob_that_is_nowhere_is_skipped_and_the_others_are_set(subject: Subject) -> None:
    del subject.machine.kernel.values[MASK]
    subject.write(avoid("1", optional=True), at(PERIOD, "9"))
    skipped, change = subject.told
    assert isinstance(skipped, KnobSkipped) and "this kernel does not have it" in skipped.reason
    assert isinstance(change, KnobChange) and subject.value(PERIOD) == "9"


def test_what_can_only_be_read_is_refused_before_anything_is_written(subject: Subject) -> None:
    kernel = subject.machine.kernel
    told = kernel._get
    kernel._get = lambda word, now: told(word, now).replace("writable", "readable")  # type: ignore[method-assign]
    with pytest.raises(KnobRefusedError, match="paravirt can only be read in this kernel"):
        subject.write(avoid("1"))
    assert subject.machine.verbs() == ["get"]


# ---- refusals


def refuse(*places: str, errno: str = "EINVAL") -> Callable[[str, str], str | None]:
    return lambda place, value: errno if place in places else None


def test_a_refusal_tells_value_reason_bounds_and_the_kernels_log(subject: Subject) -> None:
    place = "/sys/kernel/debug/x"
    subject.machine.kernel.values = {"debugfs:sched/paravirt_governor/interval_ms": "1000"}
    subject.machine.kernel.refuses = refuse("debugfs:sched/paravirt_governor/interval_ms")
    subject.machine.log = "log text=governor:\\x20interval\\x20too\\x20short\n"
    (setting,) = plan_knob(GUEST, "steal.period", "2s", shipped_registry())
    with pytest.raises(KnobRefusedError) as caught:
        subject.write(setting)
    message = caught.value.message
    assert "knob steal.period on guest1: " in message
    assert "does not take '2000': Invalid argument (EINVAL); it holds '1000'" in message
    assert "known bounds: 10 .. 100000 ms; here 100 .. 100000" in message
    assert message.endswith("the kernel logged meanwhile:\n  governor: interval too short")
    assert place not in message
    assert subject.journal.open_entries() == ()


def test_what_comes_before_a_refusal_stays_written_and_is_told(subject: Subject) -> None:
    subject.machine.kernel.refuses = refuse(MASK, errno="EBUSY")
    with pytest.raises(KnobRefusedError, match="EBUSY"):
        subject.write(at(PERIOD, "9"), avoid("1"), at(LISTED, "never"))
    assert [one.setting.knob for one in subject.told] == [PERIOD]
    assert [one.knob for one in subject.journal.open_entries()] == [PERIOD]
    assert subject.restore() == [(PERIOD, "7")]


def test_a_refusal_that_changed_something_is_put_back(subject: Subject) -> None:
    kernel = subject.machine.kernel
    plain = kernel._set_one

    def half(word: str, value: str, now_ns: int) -> str:
        line = plain(word, value, now_ns)
        return line.replace("set ", "refused ", 1) + " errno=EFBIG why=cut" if value == "12345" else line

    kernel._set_one = half  # type: ignore[method-assign]
    with pytest.raises(KnobRefusedError, match="EFBIG"):
        subject.write(at(PERIOD, "12345"))
    assert subject.value(PERIOD) == "7"
    assert subject.journal.open_entries() == ()


def test_another_value_than_was_written_is_put_back_and_no_refusal(subject: Subject) -> None:
    subject.machine.kernel.stubborn = (PERIOD,)
    with pytest.raises(KnobError, match="wrote '9' to /sys/period, read back '7'") as caught:
        subject.write(at(PERIOD, "9"))
    assert not isinstance(caught.value, KnobRefusedError)
    assert subject.journal.open_entries() == ()


# ---- bringing back


def test_everything_comes_back_in_reverse_order(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"), avoid("1"))
    subject.write(at(PERIOD, "9"))
    subject.machine.kernel.written.clear()
    assert subject.restore() == [("avoid_cpus", ""), (PERIOD, "7")]
    assert subject.machine.kernel.written == [(MASK, ""), (PERIOD, "7")]
    assert subject.restore() == []
    assert subject.machine.verbs()[-2:] == ["get", "set"], "nothing is asked when nothing is owed"


def test_what_is_back_already_is_not_written(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"))
    subject.machine.kernel.values[PERIOD] = "7"
    assert subject.restore() == []
    assert subject.journal.open_entries() == ()


def test_back_to_a_mark_and_then_to_the_beginning(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"))
    mark = subject.driver.mark()
    subject.write(at(PERIOD, "9"), avoid("1"))
    assert subject.restore(mark) == [("avoid_cpus", ""), (PERIOD, "8")]
    assert subject.restore() == [(PERIOD, "7")]


def test_another_start_makes_it_moot(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"))
    subject.machine.kernel.boot_id = "boot-2"
    assert subject.restore() == []
    assert subject.value(PERIOD) == "8", "whoever set it, it was not the lab"
    assert [one.state for one in subject.journal.entries()] == ["moot"]


def test_a_place_that_is_gone_makes_it_moot(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"), avoid("1"))
    del subject.machine.kernel.values[PERIOD]
    assert subject.restore() == [("avoid_cpus", "")]
    assert subject.journal.open_entries() == ()


def test_one_that_does_not_come_back_does_not_keep_the_others(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"), avoid("1"), at(LISTED, "x"))
    subject.machine.kernel.refuses = refuse(MASK, errno="EBUSY")
    with pytest.raises(KnobError, match=r"knob avoid_cpus on guest1 is not back: .*EBUSY"):
        subject.restore()
    assert subject.value(PERIOD) == "7"
    assert [one.knob for one in subject.journal.open_entries()] == ["avoid_cpus"]
    subject.machine.kernel.refuses = refuse()
    assert subject.restore() == [("avoid_cpus", "")]


def test_a_command_that_comes_too_late_is_not_let_in(subject: Subject) -> None:
    """Its sender was killed when it was on its way; meanwhile another has put back what it was about to change."""
    on_its_way: list[list[str]] = []

    def kill(words: list[str]) -> None:
        if "set" in words and not on_its_way:
            on_its_way.append(words)
            raise GuestLost("killed")

    subject.machine.before = kill
    with pytest.raises(GuestLost):
        subject.write(at(PERIOD, "9"))
    assert subject.restore() == []
    late = subject.machine.kernel.run(on_its_way[0], 0)
    assert late.status == 3
    assert subject.value(PERIOD) == "7"


@pytest.mark.parametrize("lost", ["get", "set", "answer"])
def test_a_machine_lost_at_any_step_owes_what_may_have_been_written(subject: Subject, lost: str) -> None:
    run = subject.machine.run

    def lose(command: str, **more: object) -> CommandResult:
        if f" {lost} " in command:
            raise GuestLost("gone")
        done = run(command, timeout_s=1)
        if lost == "answer" and " set " in command:
            raise GuestLost("gone")
        return done

    subject.machine.run = lose  # type: ignore[method-assign, assignment]
    with pytest.raises(GuestLost):
        subject.write(at(PERIOD, "9"))
    assert len(subject.journal.open_entries()) == (lost != "get")
    subject.machine.run = run  # type: ignore[method-assign]
    subject.restore()
    assert subject.value(PERIOD) == "7"


# ---- labs that live on


DEAD = replace(this_process(), start=0)


def mend(subject: Subject) -> list[tuple[str, str]]:
    with subject.another().writing() as writer:
        return [(one.entry.knob, one.new) for one in writer.restore_abandoned("guest1")]


def test_what_was_written_to_the_end_stays_and_what_was_not_is_put_back(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"))
    subject.driver.mark()
    run = subject.machine.run

    def lose_answer(command: str, **more: object) -> CommandResult:
        done = run(command, timeout_s=1)
        if " set " in command:
            raise GuestLost("killed")
        return done

    subject.machine.run = lose_answer  # type: ignore[method-assign, assignment]
    with pytest.raises(GuestLost):
        subject.write(at(PERIOD, "9"), avoid("1"))
    subject.machine.run = run  # type: ignore[method-assign]
    assert (subject.value(PERIOD), subject.value(MASK)) == ("9", "1")
    assert mend(subject) == [("avoid_cpus", ""), (PERIOD, "8")]
    assert mend(subject) == []
    assert subject.restore() == [(PERIOD, "7")]


@pytest.mark.parametrize(("owner", "value"), [(DEAD, "7"), (this_process(), "8"), (None, "8")])
def test_who_was_to_take_it_back_is_dead(subject: Subject, owner: ProcessName | None, value: str) -> None:
    subject.driver = subject.another(owner)
    subject.write(at(PERIOD, "8"))
    mend(subject)
    assert subject.value(PERIOD) == value


def test_what_another_wrote_since_stays(subject: Subject) -> None:
    subject.driver = subject.another(DEAD)
    subject.write(at(PERIOD, "8"))
    subject.driver = subject.another()
    subject.write(at(PERIOD, "9"))
    assert mend(subject) == []
    assert subject.value(PERIOD) == "9"
    assert subject.restore() == [(PERIOD, "7")]


# ---- the journal


def test_a_line_that_was_cut_short_is_no_entry_and_the_next_one_is_whole(subject: Subject) -> None:
    subject.write(at(PERIOD, "8"))
    whole = subject.journal.path.read_bytes()
    subject.journal.path.write_bytes(whole + b'{"entry": {"seq": 2, "mach')
    assert len(subject.journal.entries()) == 1
    subject.write(avoid("1"))
    assert [one.knob for one in subject.journal.open_entries()] == [PERIOD, "avoid_cpus"]


def test_values_that_are_no_text_are_kept(subject: Subject) -> None:
    subject.machine.kernel.values[PERIOD] = "\udcff\n\x00 "
    subject.write(at(PERIOD, "9"))
    (entry,) = KnobJournal(subject.directory).entries()
    assert entry.back == "\udcff\n\x00 "
    assert subject.restore() == [(PERIOD, "\udcff\n\x00 ")]


def test_every_turn_to_write_comes_after_all_before(subject: Subject) -> None:
    epochs = []
    for _ in range(3):
        with subject.journal.locked() as journal:
            epochs.append(journal.epoch)
    with subject.journal.path.open("a") as file:
        file.write(json.dumps({"epoch": epochs[-1] + 10**9}) + "\n")
    with subject.journal.locked() as journal:
        epochs.append(journal.epoch)
    assert epochs == sorted(set(epochs))
    assert epochs[-1] > epochs[-2] + 10**9


# ---- the host's


def host_setting(value: int) -> KnobSetting:
    (setting,) = plan_knob(HOST, "kvm.halt_poll", str(value), shipped_registry())
    return setting


def keep(bench: Bench, value: int) -> str:
    """A lab that is up and has changed the host's knob; its id."""
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        with lab.knobs.writing() as writer:
            writer.write([host_setting(value)], lambda _done: None)
        return keep_lab(bench.around, lab).lab_id


def test_two_labs_may_not_hold_one_knob_of_a_host(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text="nodes: [{name: guest, vcpus: 1, memory: 256MiB, pinning: ['0']}]\n")
    first = keep(bench, 0)
    other = replace(make_plan(bench.topology, lab_id="other1"), nodes=())
    record = bench.records.create(other, "/store/labs/other1")

    def machines(name: str) -> KnobMachine:
        return KnobMachine(name, bench.host.shell, "pvknob", "/store/fence")

    claims = HostClaims(bench.records, bench.state_dir, record.lab_id, record.where)
    driver = KnobDriver(
        KnobJournal(bench.records.directory(record.lab_id)), machines, shipped_registry(), claims
    )
    with (
        pytest.raises(KnobHeldError, match=rf"held by lab fake \({first}\)") as caught,
        driver.writing() as writer,
    ):
        writer.write([host_setting(5)], lambda _done: None)
    assert f"`lab down {first}`" in str(caught.value.hint)
    assert bench.world.host_knobs[HOST_KNOB] == "0"
    assert not driver.owes()

    end_lab(bench.host, bench.records, bench.records.find(first))
    assert bench.world.host_knobs[HOST_KNOB] == HOST_VALUE
    with driver.writing() as writer:
        writer.write([host_setting(5)], lambda _done: None)
    assert driver.owes(HOST_SCOPE)


def test_down_puts_the_hosts_knobs_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    record = bench.records.find(keep(bench, 0))
    assert bench.world.host_knobs[HOST_KNOB] == "0"
    assert end_lab(bench.host, bench.records, record)
    assert bench.world.host_knobs[HOST_KNOB] == HOST_VALUE
    assert bench.leftovers() == []


def test_a_host_knob_that_does_not_come_back_is_an_error_and_stays_on_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    record = bench.records.find(keep(bench, 0))
    bench.host.shell.kernel.refuses = refuse(HOST_KNOB, errno="EBUSY")  # type: ignore[attr-defined]
    with pytest.raises(KnobError, match="is not back"):
        end_lab(bench.host, bench.records, record)
    (left,) = bench.records.all()
    assert left.state is LabState.LEFT
    bench.host = FakeHost(bench.world)
    collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert bench.world.host_knobs[HOST_KNOB] == HOST_VALUE
    assert bench.leftovers() == [] and bench.records.all() == ()


def test_gc_does_not_touch_the_knobs_of_a_host_that_was_started_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    record = bench.records.find(keep(bench, 0))
    bench.records.update(replace(record, owner_start=1), LabState.RUNNING)
    bench.host.shell.kernel.boot_id = "another"  # type: ignore[attr-defined]
    collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert bench.world.host_knobs[HOST_KNOB] == "0"
    assert bench.records.all() == ()


def test_knobs_of_the_host_are_put_back_when_a_guests_is_refused(tmp_path: Path) -> None:
    text = """\
nodes: [{name: guest, vcpus: 2, memory: 256MiB}]
knobs: [{knob: kvm.halt_poll, value: 0}, {nodes: guest, knob: /sys/nothing, value: 1}]
phases: [{name: one, duration: 1s}]
"""
    bench = Bench(tmp_path, text=text)
    with pytest.raises(LabError, match="/sys/nothing: No such file"):
        bench.run()
    assert bench.world.host_knobs[HOST_KNOB] == HOST_VALUE


def test_a_fault_while_knobs_are_put_back_is_made_good_by_the_labs_end(tmp_path: Path) -> None:
    for name in ("well", "faulty"):
        (tmp_path / name).mkdir()
    well, faulty = Bench(tmp_path / "well"), Bench(tmp_path / "faulty")
    well.run()
    calls = [i for i, name in enumerate(well.world.calls) if name == "fake host: /store/store/pvknob"]
    faulty.world.fault = Fault(calls[-1], LabFailure("injected"))
    faulty.run()
    assert faulty.world.host_knobs[HOST_KNOB] == HOST_VALUE
    assert "injected" in faulty.narrator.said[-1]


@pytest.mark.parametrize(
    ("mine", "held", "same"),
    [
        ("file:/proc/sys/x", "file:/proc/sys/x", True),
        ("file:/proc/sys/x", "file:/proc/sys/y", False),
        ("module:kvm", "module_parameter:kvm/halt_poll_ns", True),
        ("module_parameter:kvm/a", "module_parameter:kvm/b", False),
        ("module:kvm-amd", "module:kvm_amd", True),
        ("module:kvm", "file:/proc/sys/x", False),
    ],
)
def test_what_is_the_same_thing_to_two_labs(mine: str, held: str, same: bool) -> None:
    def entry(word: str) -> KnobEntry:
        return KnobEntry(0, HOST_SCOPE, "boot", "k", word, f"at {word}", "text", "", "", word, "")

    assert is_same_thing(entry(mine), entry(held)) is same
    assert is_same_thing(entry(held), entry(mine)) is same
