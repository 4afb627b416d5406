# SPDX-License-Identifier: GPL-2.0-only
"""The draft of a reply: whole for a mail client, plain for a list, and without anybody's word."""

from __future__ import annotations

import email
import email.policy
import re
import shlex
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.report.reporting import make_plan, material_of, measure

from lab.judge.trialverdict import TrialVerdict
from lab.judge.verdict import Outcome
from lab.report.material import Material
from lab.report.reply import Tried, render_command, render_reply

TRIED = Tried(
    title="[PATCH v2 0/3] sched: Better lines",
    subject="[PATCH v2 0/3] sched: Better lines",
    message_id="20261124.1-1-hacker@kernel.invalid",
    sender="Zoë Häcker <hacker@kernel.invalid>",
    to="linux-list@lists.invalid",
    cc='"Guest, Person" <guest@example.invalid>',
    patches=3,
    bases=("linux-source-6.12 6.12.117-1",),
    topology="try.yaml",
    replay=("lab", "try", "20261124.1-1-hacker@kernel.invalid", "--kernel", "debian:6.12", "--repeats", "6"),
    notes=("the latest, v2, is taken",),
)
PLAN = make_plan()
VERDICT = TrialVerdict(Outcome.FAILED, ("regressed: computing/busy.throughput -7.4%",))


def material() -> Material:
    return material_of(PLAN, measure(PLAN))


def test_a_mail_client_knows_what_it_answers() -> None:
    draft = email.message_from_string(render_reply(material(), TRIED, VERDICT), policy=email.policy.default)
    assert draft["Subject"] == "Re: [PATCH v2 0/3] sched: Better lines"
    assert draft["In-Reply-To"] == draft["References"] == "<20261124.1-1-hacker@kernel.invalid>"
    assert draft["To"] == "Zoë Häcker <hacker@kernel.invalid>"
    assert draft["Cc"] == 'linux-list@lists.invalid, "Guest, Person" <guest@example.invalid>'
    assert {"From", "Date", "Message-ID"}.isdisjoint(draft.keys())
    body = draft.get_content()
    assert "\n  regressed: computing/busy.throughput -7.4%\n" in body
    for said in (
        "series: [PATCH v2 0/3] sched: Better lines",
        "base: linux-source-6.12",
        "host kernel: 6.12.1",
    ):
        assert said in body
    assert "note: the latest, v2, is taken" in body


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=300), st.lists(st.text(max_size=90), max_size=3))
def test_whatever_people_write_it_stays_plain_and_without_tags(title: str, notes: list[str]) -> None:
    tried = replace(TRIED, title=title, notes=tuple(notes))
    text = render_reply(material(), tried, VERDICT)
    assert text.isascii()
    body = text.split("\n\n", 1)[1]
    assert all(len(line) <= 75 for line in body.splitlines())
    assert text.endswith("\n")


def test_nobody_is_said_to_have_tested_anything() -> None:
    text = render_reply(material(), TRIED, VERDICT)
    assert not re.search(r"^\s*\S+-by:", text, re.MULTILINE | re.IGNORECASE)
    assert "A tag of yours (Tested-by: ...) would stand here" in text


@pytest.mark.parametrize("subject", ["Re: [PATCH] x", "RE: [PATCH] x"])
def test_a_reply_to_a_reply_says_so_once(subject: str) -> None:
    text = render_reply(material(), replace(TRIED, subject=subject), VERDICT)
    assert f"Subject: {subject}\n" in text


def test_patches_without_mails_have_nobody_to_reply_to() -> None:
    alone = replace(TRIED, title="series", subject="", message_id="", sender="", to="", cc="", patches=1)
    draft = email.message_from_string(render_reply(material(), alone, VERDICT))
    assert draft["Subject"] == "Re: series"
    assert {"To", "Cc", "In-Reply-To", "References"}.isdisjoint(draft.keys())
    assert "(1 patch)" in draft.get_payload()


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60), min_size=1)
)
def test_a_command_can_be_pasted(words: list[str]) -> None:
    lines = render_command(words)
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == words
    assert all(line.endswith(" \\") for line in lines[:-1])


def test_names_of_files_that_are_not_ascii_stay_what_they_are() -> None:
    text = render_reply(material(), replace(TRIED, replay=("lab", "try", "größe.mbox")), VERDICT)
    assert text.isascii()
    assert (
        "lab try 'größe.mbox'" in email.message_from_string(text, policy=email.policy.default).get_content()
    )
