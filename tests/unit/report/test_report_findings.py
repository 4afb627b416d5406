# SPDX-License-Identifier: GPL-2.0-only
"""What kernels reported stands in the report and in the mail, and acts on neither."""

from __future__ import annotations

from dataclasses import replace

from reporting import make_plan, material_of

from lab.measure.findings import RecordedConsole, collect_findings
from lab.measure.windows import Measurements
from lab.report.compose import compose_page
from lab.report.html import render_page
from lab.report.mail import render_mail

NOTHING = Measurements((), (), (), (), ())
CONSOLE = (
    b"[ 12.345713] WARNING: CPU: 1 PID: 77 at lib/x.c:28 planted+0xba/0x110\n"
    b"[ 12.345715] CPU: 1 UID: 0 PID: 77 Comm: <b>sh</b> Not tainted 6.12.0 #1\n"
    b"[ 12.345720] Call Trace:\n[ 12.345720]  vfs_write+0xf5/0x400\n"
)


def test_a_finding_is_told_with_its_trace():
    console = RecordedConsole("guest1", "guests/guest1/console.log", CONSOLE * 2)
    decoded = {console.path: {"vfs_write+0xf5/0x400": "fs/read_write.c:584"}}
    findings = collect_findings([console], emulated=False, decoded=decoded)
    material = material_of(make_plan(), replace(NOTHING, findings=findings))
    page = render_page(compose_page(material))
    assert "What kernels reported" in page
    assert "vfs_write+0xf5/0x400 (fs/read_write.c:584)" in page
    assert "<b>sh" not in page
    mail = render_mail(material)
    assert mail.isascii()
    assert "What kernels reported" in mail
    assert "fs/read_write.c:584" in mail


def test_nothing_is_told_where_nothing_was_found():
    material = material_of(make_plan(), NOTHING)
    assert "What kernels reported" not in render_page(compose_page(material))
    assert "What kernels reported" not in render_mail(material)
