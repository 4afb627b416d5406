# SPDX-License-Identifier: GPL-2.0-only
"""From a file's text to a checked pydantic model, or to all of the file's problems with their lines.

The same for every kind of file: what a kind is stands in its `Format`, and what its models cannot know (names that
stand elsewhere) in the `check` that `decode` is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from lab.errors import FileProblems, InputError, Problem
from lab.strictyaml.findings import Finding, format_loc
from lab.strictyaml.salvage import salvage
from lab.strictyaml.shape import explain_errors, takes_boolean, takes_word, trace
from lab.strictyaml.yamltree import Document, YamlSyntaxError, parse_document

MAX_FILE_BYTES = 4 * 1024 * 1024
#: Misshapen places told of one file. Far more than a person reads; it bounds the time spent on a wrong file.
MAX_TOLD = 2_000

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Format(Generic[Model]):
    """One kind of file.

    `what` names it ("topology"), `error` is raised for its problems with `hint`. `needed` is said of an empty file,
    `example` of one that cannot be read. `rules` are patterns of names, with the rule in words.
    """

    what: str
    model: type[Model]
    error: type[FileProblems]
    hint: str
    needed: str
    example: str
    rules: Mapping[str, str] = field(default_factory=dict)


def read_text(path: Path, form: Format[Model]) -> str:
    """The file's text. Raises InputError where it cannot be read, is too large, or is not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{form.what} {path} cannot be read: {error.strerror or error}", form.example
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"{form.what} {path} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB; is it a {form.what}?"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from error


def decode(text: str, path: Path, form: Format[Model], check: Callable[[Model], list[Finding]]) -> Model:
    """The model that `text` describes; `path` names it in messages.

    Raises `form.error` with every problem found (up to MAX_TOLD), sorted by line: those of the shape, and those
    that `check` finds in what is sound. Where the text is not even YAML, that is the only problem told.
    """
    try:
        document = parse_document(text)
    except YamlSyntaxError as error:
        raise form.error(_problems(path, None, form, [error.finding]), form.hint) from error
    if document.value is None:
        empty = Finding((), f"is empty; at least {form.needed} are needed")
        raise form.error(_problems(path, document, form, [empty]), form.hint)
    document = _settle_booleans(document, form.model)
    try:
        model = form.model.model_validate(document.value)
    except ValidationError as error:
        found = _malformed(document, error, form, check)
        raise form.error(_problems(path, document, form, found), form.hint) from error
    findings = check(model)
    if findings or document.findings:
        raise form.error(_problems(path, document, form, [*document.findings, *findings]), form.hint)
    return model


def _settle_booleans(document: Document, model: type[BaseModel]) -> Document:
    """`true` and `false` are no finding where a key takes just that, and text as they were written elsewhere. So is
    any other word for them where it is one of those that a key takes."""
    kept = []
    for finding in document.findings:
        value, written = document.at(finding.loc)
        if isinstance(value, bool) and finding.loc:
            if takes_boolean(model, finding.loc):
                continue
            document.put(finding.loc, written)
        elif isinstance(value, str) and finding.loc and takes_word(model, finding.loc, value):
            continue
        kept.append(finding)
    return replace(document, findings=tuple(kept))


def _malformed(
    document: Document, error: ValidationError, form: Format[Model], check: Callable[[Model], list[Finding]]
) -> list[Finding]:
    """All findings of a document that does not fit the models: of its shape, and of its sound rest."""
    errors = error.errors(include_url=False, include_input=False)
    unread = {finding.loc for finding in document.findings}
    shape = explain_errors(form.model, errors[:MAX_TOLD], document, form.rules)
    findings = [*document.findings, *(finding for finding in shape if finding.loc not in unread)]
    if len(errors) > MAX_TOLD:
        return [*findings, Finding((), f"{len(errors) - MAX_TOLD} further problems are left out")]
    broken = [trace(form.model, each["loc"]).loc for each in errors]
    rest = salvage(form.model, document, [*broken, *(finding.loc for finding in document.findings)])
    if rest is not None and isinstance(rest.spec, form.model):
        further = (finding for finding in check(rest.spec) if rest.trusts(finding))
        findings += [replace(finding, loc=rest.original(finding.loc)) for finding in further]
    return findings


def _problems(
    path: Path, document: Document | None, form: Format[Model], findings: Iterable[Finding]
) -> list[Problem]:
    """The findings as problems of the file, each once."""
    problems = set()
    for finding in findings:
        line = finding.line or (document.line_of(finding.loc) if document else 1)
        problems.add(Problem(str(path), line, format_loc(finding.loc, form.what), finding.message))
    return list(problems)
