# SPDX-License-Identifier: GPL-2.0-only
"""Series out of mboxes, directories and archives. b4 is the real one, and has no network."""

from __future__ import annotations

import mailbox
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import FakeCommands, RecordedProgress

from lab.adapters.commands import ProcessCommands
from lab.artifacts.applying import check_series, choose_commit
from lab.artifacts.cache import Cache
from lab.artifacts.mails import Tag, parse_mail, parse_tag, read_mails
from lab.artifacts.patches import patch_digest, read_patches
from lab.artifacts.series import Series, SeriesReader, write_series
from lab.artifacts.workshop import Workshop
from lab.errors import CommandFailed, HostError, InputError, PatchRejected
from lab.plan.labplan import KernelPlan, KernelSourcePlan

BOXES = Path(__file__).parents[2] / "data/mbox"
IMAGES = Path(__file__).parents[3] / "images"
LINES = "".join(f"line {number}\n" for number in range(1, 31))
BASE_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def reader(tmp_path: Path) -> SeriesReader:
    return SeriesReader(ProcessCommands(), IMAGES, tmp_path / "b4")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "linux"
    (tree / "kernel").mkdir(parents=True)
    (tree / "kernel/file.c").write_text(LINES)
    (tree / "kernel/other.c").write_text(LINES)
    (tree / "Kconfig").write_text('source "init/Kconfig"\n')
    return tree


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(
        Cache(tmp_path / "cache", RecordedProgress()), ProcessCommands(), RecordedProgress(), IMAGES
    )


def base_of(tree: Path, ref: str | None = None, patches: tuple[str, ...] = ()) -> KernelPlan:
    return KernelPlan("mine", KernelSourcePlan("tree", str(tree), ref), patches, (), "")


# ---- mails


@pytest.mark.parametrize(
    ("subject", "tag"),
    [
        ("[PATCH v2 03/18] sched: Do it", Tag(2, 3, 18, "sched: Do it")),
        ("[PATCH] one", Tag(1, 1, 1, "one")),
        ("[RFC PATCH sched/core v3 0/7] cover", Tag(3, 0, 7, "cover")),
        ("[RFC v11 2/4] [x86] y", Tag(11, 2, 4, "y")),
        ("Re: [PATCH v2 03/18] sched: Do it", None),
        ("[ANNOUNCE] PATCH 1/2", None),
        ("", None),
    ],
)
def test_a_subject_says_which_patch_it_is(subject: str, tag: Tag | None) -> None:
    assert parse_tag(subject) == tag


def test_mails_are_decoded() -> None:
    mails = {mail.message_id: mail for mail in read_mails(BOXES / "versions.mbox")}
    cover = mails["v2-0@kernel.invalid"]
    assert cover.subject == "[PATCH v2 0/3] sched: Better lines, for a third time"
    assert cover.base_commit == "fedc" + BASE_COMMIT[4:]
    assert mails["v2-2@kernel.invalid"].subject.endswith("line 20 à fond")
    assert "+zwanzig = 20 ü\n".encode() in mails["v2-2@kernel.invalid"].text
    assert mails["r-1@kernel.invalid"].tag is None


def test_nonsense_is_a_mail_without_headers() -> None:
    assert parse_mail(b"\xff\xfe\x00").tag is None


# ---- series


def test_the_latest_version_is_taken_in_order_and_decoded(reader: SeriesReader) -> None:
    series = reader.read(str(BOXES / "versions.mbox"))
    assert [patch.name for patch in series.patches] == [
        "1/3 sched: Change line 5",
        "2/3 sched: Change line 20 à fond",
        "3/3 sched: Say what it is",
    ]
    assert "+cinq = 5 é\n".encode() in series.patches[0].text
    assert (series.version, series.message_id) == (2, "v2-0@kernel.invalid")
    assert series.subject == "[PATCH v2 0/3] sched: Better lines, for a third time"
    assert series.base_commit == "fedc" + BASE_COMMIT[4:]
    assert series.notes == ("versions v1, v2 are there: the latest, v2, is taken",)
    assert b"Reviewed-by: Guest Person" in series.patches[0].text
    assert series.mail is not None
    assert series.mail.sender == "Sched Hacker <hacker@kernel.invalid>"


def test_a_maildir_is_as_good_as_an_mbox(reader: SeriesReader, tmp_path: Path) -> None:
    maildir = mailbox.Maildir(tmp_path / "mails")
    for message in mailbox.mbox(BOXES / "versions.mbox", create=False):
        maildir.add(message)
    series = reader.read(str(tmp_path / "mails"))
    assert (len(series.patches), series.version) == (3, 2)


def test_a_patch_alone_is_a_series_of_one(reader: SeriesReader) -> None:
    series = reader.read(str(BOXES / "single.mbox"))
    assert [patch.name for patch in series.patches] == ["1/1 sched: Change line 5"]
    assert (series.message_id, series.base_commit) == ("one@kernel.invalid", BASE_COMMIT)


def test_patches_that_were_never_sent_are_taken_by_their_numbers(reader: SeriesReader) -> None:
    series = reader.read(str(BOXES / "no-ids.mbox"))
    assert ["five" in patch.text.decode() for patch in series.patches] == [True, False]
    assert (series.subject, series.message_id, series.base_commit) == ("", "", BASE_COMMIT)
    assert "no message ids" in series.notes[0]
    assert series.title == "no-ids.mbox"


def test_a_directory_of_patches_and_one_with_a_series_file(reader: SeriesReader, tmp_path: Path) -> None:
    made = reader.read(str(BOXES / "versions.mbox"))
    write_series(Series("x", made.patches, fragment=b"CONFIG_BETTER=y\n"), tmp_path / "quilt")
    quilt = reader.read(str(tmp_path / "quilt"))
    (tmp_path / "quilt/series").unlink()
    plain = reader.read(str(tmp_path / "quilt"))
    assert quilt.fragment == plain.fragment == b"CONFIG_BETTER=y\n"
    digests = [[patch_digest(patch) for patch in one.patches] for one in (made, quilt, plain)]
    assert digests[0] == digests[1] == digests[2]


def test_written_patches_say_who_sent_them(reader: SeriesReader, tmp_path: Path) -> None:
    write_series(reader.read(str(BOXES / "versions.mbox")), tmp_path / "out")
    names = (tmp_path / "out/series").read_text().split()
    assert names[0] == "0001-sched-Change-line-5.patch"
    first = (tmp_path / "out" / names[0]).read_text()
    assert "Message-ID: <v2-1@kernel.invalid>\n" in first
    assert "Signed-off-by: Sched Hacker" in first
    assert len(read_patches(tuple(tmp_path / "out" / name for name in names))) == 3


def test_the_labs_own_series_is_recognised_however_it_comes(reader: SeriesReader, tmp_path: Path) -> None:
    named = reader.read("paravirt-cpus")
    assert named.same_as == "paravirt-cpus"
    shutil.copytree(IMAGES / "kernels/paravirt-cpus", tmp_path / "copy")
    (tmp_path / "copy/series").unlink()
    (tmp_path / "copy/fragment.config").unlink()
    copied = reader.read(str(tmp_path / "copy"))
    assert copied.same_as == "paravirt-cpus"
    assert (
        copied.fragment == named.fragment == (IMAGES / "kernels/paravirt-cpus/fragment.config").read_bytes()
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("incomplete.mbox", "incomplete: patch 3 of 3 is missing"),
        ("talk.mbox", "there is no diff in it"),
        ("absent.mbox", r"no such file or directory, and it is neither a shipped series \(paravirt-cpus\)"),
        ("", "neither a series file nor"),
    ],
)
def test_what_is_no_series_is_bad_input(reader: SeriesReader, source: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        reader.read(str(BOXES / source))


def test_what_looks_like_an_option_is_no_message_id(reader: SeriesReader) -> None:
    with pytest.raises(InputError, match="nor a message id"):
        reader.read("--config=x@y")


# ---- by message id: a b4 that would fetch, and then the real one


class Archive:
    """An archive that has one thread."""

    def __init__(self, box: Path | None) -> None:
        self.box = box
        self.commands = FakeCommands({"b4": self.answer})

    def answer(self, words: Sequence[str]) -> str:
        if "mbox" not in words:
            return ProcessCommands().output(list(words), what="b4")
        assert "--offline-mode" not in words
        if self.box is None:
            raise CommandFailed("reading the series: exited with status 1\nServer returned an error: 404")
        shutil.copy(self.box, Path(words[words.index("-o") + 1]) / "thread")
        return ""


def test_a_message_id_means_its_own_version(tmp_path: Path) -> None:
    archive = Archive(BOXES / "versions.mbox")
    series = SeriesReader(archive.commands, IMAGES, tmp_path / "b4").read("<v1-1@kernel.invalid>")
    assert (series.version, series.message_id) == (1, "v1-0@kernel.invalid")
    assert series.source == "v1-1@kernel.invalid"
    assert series.notes == ("versions v1, v2 are there: v1 is taken",)
    assert archive.commands.calls[0][-1] == "v1-1@kernel.invalid"
    assert all("--offline-mode" in call for call in archive.commands.calls[1:])


def test_an_archive_that_does_not_answer_is_the_hosts_fault(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="b4 cannot fetch it: Server returned an error: 404"):
        SeriesReader(Archive(None).commands, IMAGES, tmp_path / "b4").read("x@kernel.invalid")


# ---- applying


def test_a_series_is_applied_to_the_files_that_it_names(
    reader: SeriesReader, workshop: Workshop, tree: Path, tmp_path: Path
) -> None:
    series = reader.read(str(BOXES / "versions.mbox"))
    identity = check_series(workshop, base_of(tree), series.patches, tmp_path / "work")
    assert identity.startswith("listing ")
    assert (tree / "kernel/file.c").read_text() == LINES
    tried = tmp_path / "work/tree-mine"
    assert "cinq = 5 é" in (tried / "kernel/file.c").read_text()
    assert (tried / "init/Kconfig").is_file()
    assert not (tried / "kernel/other.c").exists()


def test_what_does_not_apply_is_told_with_number_file_hunk_and_reject(
    reader: SeriesReader, workshop: Workshop, tree: Path, tmp_path: Path
) -> None:
    series = reader.read(str(BOXES / "reject.mbox"))
    with pytest.raises(PatchRejected) as caught:
        check_series(workshop, base_of(tree), series.patches, tmp_path / "work")
    said = caught.value.message
    assert "the series does not apply to kernel mine (listing" in said
    assert "patch 2/2 sched: Change line 20 does not apply" in said
    assert "kernel/file.c: hunk 1 does not apply at line 19" in said
    assert "kernel/absent.c: there is no such file" in said
    assert "-line twenty" in said


def test_the_bases_own_patches_come_first(
    reader: SeriesReader, workshop: Workshop, tree: Path, tmp_path: Path
) -> None:
    series = reader.read(str(BOXES / "single.mbox"))
    write_series(series, tmp_path / "own")
    own = tuple(str(path) for path in (tmp_path / "own").glob("*.patch"))
    with pytest.raises(PatchRejected, match="already there"):
        check_series(workshop, base_of(tree, patches=own), series.patches, tmp_path / "work")


def git(tree: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@t.invalid"]
    return ProcessCommands().output(["git", "-C", tree, *who, *words], what="git").strip()


def test_a_git_ref_is_read_out_of_git(
    reader: SeriesReader, workshop: Workshop, tree: Path, tmp_path: Path
) -> None:
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    commit = git(tree, "rev-parse", "HEAD")
    (tree / "kernel/file.c").write_text("something else\n")
    git(tree, "commit", "-qam", "second")
    series = reader.read(str(BOXES / "versions.mbox"))
    assert check_series(workshop, base_of(tree, commit), series.patches, tmp_path / "a") == f"git {commit}"
    with pytest.raises(PatchRejected, match="does not apply"):
        check_series(workshop, base_of(tree), series.patches, tmp_path / "b")

    source = KernelSourcePlan("tree", str(tree))
    assert choose_commit(workshop, commit, [source]) == (
        commit,
        (f"base-commit {commit[:12]} honoured: both kernels are built from it",),
    )
    chosen, (note,) = choose_commit(workshop, BASE_COMMIT, [source])
    assert chosen is None and "has no such commit; the series is tried on it as it is" in note
    chosen, (note,) = choose_commit(workshop, commit, [KernelSourcePlan("tree", str(tree), "HEAD")])
    assert chosen is None and note.endswith("HEAD of linux was asked for")


def test_a_base_commit_cannot_be_honoured_by_a_tarball(workshop: Workshop) -> None:
    chosen, (note,) = choose_commit(workshop, BASE_COMMIT, [KernelSourcePlan("debian", "6.12")])
    assert chosen is None
    assert note == (
        "base-commit 0123456789ab not honoured: debian 6.12 has no commits; the series is tried on it as it is"
    )
    assert choose_commit(workshop, None, [KernelSourcePlan("debian", "6.12")]) == (None, ())


def test_a_patch_cannot_reach_out_of_the_tree(workshop: Workshop, tree: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("line 1\n")
    diff = b"--- a/../secret\n+++ b/../secret\n@@ -1 +1 @@\n-line 1\n+gone\n"
    path = tmp_path / "evil.patch"
    path.write_bytes(diff)
    with pytest.raises(PatchRejected):
        check_series(workshop, base_of(tree), read_patches((path,)), tmp_path / "work")
    assert secret.read_text() == "line 1\n"
