# SPDX-License-Identifier: GPL-2.0-only
"""`lab try` with the reference series, as it would come from a mailing list, on real guests."""

from __future__ import annotations

import email
import email.policy
import json
import mailbox
import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from e2e_lab import ROOT, call

from lab.errors import UndecidedError
from lab.recording import Recording

SERIES = ROOT / "images/kernels/paravirt-cpus"
TOPOLOGY = Path(__file__).parent / "data/try-fold.yaml"


@pytest.fixture(scope="module")
def mbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The series as a thread: a cover letter, the patches in answer to it, and a reviewer's reply, in no order."""
    patches = sorted(SERIES.glob("*.patch"))
    cover = EmailMessage()
    cover["Subject"] = f"[PATCH 00/{len(patches)}] cpu: CPUs that tasks should avoid"
    cover.set_content("It is about steal.\n")
    mails = [cover, *(mail_of(path) for path in patches), review(patches)]
    box = mailbox.mbox(tmp_path_factory.mktemp("mails") / "series.mbox")
    for number, mail in reversed(list(enumerate(mails))):
        if "From" not in mail:
            mail["From"] = "Somebody <somebody@series.invalid>"
        mail["Date"] = f"Tue, 24 Nov 2026 06:{number:02}:00 +0000"
        mail["Message-ID"] = f"<{number}@series.invalid>"
        if number:
            mail["References"] = "<0@series.invalid>"
        box.add(mail)
    box.close()
    return Path(box._path)  # type: ignore[attr-defined]


def mail_of(path: Path) -> EmailMessage:
    """A patch as its sender would encode it: half of them quoted-printable."""
    sent = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    mail = EmailMessage()
    mail["Subject"] = " ".join(str(sent["Subject"]).split())
    mail["From"] = str(sent["From"])
    text = sent.get_content()
    mail.set_content(text, cte="quoted-printable" if int(path.name[:4]) % 2 else "8bit")
    return mail


def review(patches: list[Path]) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = "Re: [PATCH 01/18] cpu: Add a mask of CPUs that tasks should avoid"
    mail.set_content("Reviewed-by: Somebody <somebody@series.invalid>\n")
    return mail


def test_a_dry_run_finds_the_reference_series_built(mbox: Path) -> None:
    done = call("try", mbox, TOPOLOGY, "--dry-run", "--json")
    assert done.status == 0, done.out + done.err
    document = json.loads(done.out)
    assert document["same_as"] == "paravirt-cpus"
    assert document["applies"] is True
    assert len(document["patches"]) == len(list(SERIES.glob("*.patch")))
    assert all(one["built"] for one in document["kernels"]), document["kernels"]


@pytest.mark.long
def test_the_reference_series_is_tried_on_real_guests(mbox: Path, tmp_path: Path, figures) -> None:  # type: ignore[no-untyped-def]
    draft, recording = tmp_path / "draft.eml", tmp_path / "rec"
    words = ("try", mbox, TOPOLOGY, "--repeats", "4", "--record", recording, "--reply", draft, "--json")
    done = call(*words, timeout_s=1200)
    assert done.status in (0, 5), done.out + done.err
    assert "building kernel" not in done.err
    document = json.loads(done.out)
    verdicts = {
        (one["phase"], one["metric"]): one["verdict"] for one in document["comparison"]["comparisons"]
    }
    figures(json.dumps({"/".join(key): value for key, value in verdicts.items()}), *document["try"]["lines"])
    if verdicts["folded", "steal"] == "inconclusive":
        raise UndecidedError(f"nothing was decided about folding:\n{draft.read_text()}")
    assert verdicts["folded", "steal"] == "improved"
    assert "regressed" not in verdicts.values()

    events = Recording(recording).events()
    arms = {phase.name: phase.arm for phase in Recording(recording).plan().phases}
    assert set(arms.values()) == {"base", "patched"}
    assert any(one.kind == "knob-skipped" for one in events)
    assert any(one.kind == "knob" and one.data["knob"] == "avoid_cpus" for one in events)

    mail = email.message_from_string(draft.read_text(), policy=email.policy.default)
    assert mail["In-Reply-To"] == "<0@series.invalid>"
    assert mail["Subject"] == "Re: [PATCH 00/18] cpu: CPUs that tasks should avoid"
    body = mail.get_content()
    assert "folded/steal" in body
    assert "linux-source-6.12" in body
    assert not re.search(r"^\S+-by:", body, re.MULTILINE)
    assert max(map(len, body.splitlines())) <= 75
