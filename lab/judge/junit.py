# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts as JUnit XML, the dialect that continuous-integration servers read."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.plan.labplan import LabPlan

#: What XML 1.0 cannot hold, not even escaped (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: The element that says how a test case ended; a passed one has none.
_ENDINGS = {Outcome.FAILED: "failure", Outcome.UNDECIDED: "error", Outcome.SKIPPED: "skipped"}


def render_junit(plan: LabPlan, judgement: Judgement) -> str:
    """One test case for each verdict, as text with an XML declaration.

    FAILED is a `failure`, SKIPPED a `skipped`, UNDECIDED an `error` of type ``undecided``. What was observed
    (the steal of both sides, for instance) is a property of the test case, the lab's id one of the suite.
    """
    counts = {
        ending: sum(verdict.outcome is outcome for verdict in judgement.verdicts)
        for outcome, ending in _ENDINGS.items()
    }
    attributes = {
        "name": _clean(plan.name),
        "tests": str(len(judgement.verdicts)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", attributes)
    _add_properties(
        suite, {"lab_id": plan.lab_id, "host": plan.host.where, "outcome": judgement.outcome.value}
    )
    for verdict in judgement.verdicts:
        _add_case(suite, plan.name, verdict)
    return _document(suites)


def render_junit_unjudged(name: str, how: str, message: str) -> str:
    """A run that came to no verdict: one test case with an `error` of type `how`, a word or two."""
    counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", {"name": _clean(name), **counts})
    _add_properties(suite, {"outcome": how})
    case = ET.SubElement(suite, "testcase", {"classname": _clean(name), "name": "run"})
    error = ET.SubElement(case, "error", {"message": _clean(message.partition("\n")[0]), "type": how})
    error.text = _clean(message)
    return _document(suites)


def _document(suites: ET.Element) -> str:
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, name: str, verdict: Verdict) -> None:
    classname = f"{name}.{verdict.phase}" if verdict.phase else name
    attributes = {"classname": _clean(classname), "name": _clean(f"{verdict.expectation}: {verdict.subject}")}
    case = ET.SubElement(suite, "testcase", attributes)
    _add_properties(case, {"outcome": verdict.outcome.value, "observed": verdict.observed})
    if verdict.outcome in _ENDINGS:
        message = _clean(verdict.reason)
        ending = ET.SubElement(case, _ENDINGS[verdict.outcome], {"message": message})
        ending.set("type", verdict.outcome.value)
        ending.text = _clean(f"expected: {verdict.expectation}\nobserved: {verdict.observed}")


def _add_properties(element: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(element, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
