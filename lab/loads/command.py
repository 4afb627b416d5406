# SPDX-License-Identifier: GPL-2.0-only
"""Command lines out of templates: values are quoted, so that a word of a value stays within its word."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lab.loads.model import LoadKind, Metric, Parameter, Value


@dataclass(frozen=True)
class Place:
    """Where a load runs: what templates know beside its parameters. `addresses` are the guests' by name; `peer` is
    that of the guest after this one."""

    node: str
    vcpus: int
    memory_mib: int
    address: str
    peer: str
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class Rendered:
    """A load's command, how many of its tasks want to run at a time, its metrics, and the amounts of some."""

    words: tuple[str, ...]
    tasks: int
    metrics: tuple[Metric, ...]
    amounts: Mapping[str, float]


def _quoted(value: Any) -> Any:
    return shlex.quote(f"{value:g}" if isinstance(value, float) else str(value))


# A topology may come from anybody: in a sandbox a template computes, and does nothing else.
_WORDS = ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=_quoted, autoescape=False)
_NUMBERS = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


def render_load(kind: LoadKind, values: Mapping[str, Value], place: Place) -> Rendered:
    """The command of `kind` with all of its parameters' `values` at `place`.

    Raises ValueError, which names the part of the entry, where a template is wrong or asks for a name that is not
    there.
    """
    known = {
        **{one.name: _shown(one, values[one.name], place) for one in kind.parameters},
        "node": place.node,
        "vcpus": place.vcpus,
        "memory_mib": place.memory_mib,
        "address": place.address,
        "peer": place.peer,
    }
    return Rendered(
        words=_words(kind.command, known),
        tasks=max(0, round(_number("tasks", kind.tasks, known))),
        metrics=tuple(one for one in kind.metrics if _is_reported(one, known)),
        amounts={
            one.name: _number(f"metrics.{one.name}.amount", one.amount, known)
            for one in kind.metrics
            if one.amount is not None
        },
    )


#: Names that no parameter may have.
RESERVED = ("node", "vcpus", "memory_mib", "address", "peer")


def _shown(parameter: Parameter, value: Value, place: Place) -> Value:
    """A node is its address in a command."""
    return place.addresses[str(value)] if parameter.kind == "node" and value else value


def _is_reported(metric: Metric, known: Mapping[str, Value]) -> bool:
    if metric.when is None:
        return True
    return _render(_NUMBERS, f"metrics.{metric.name}.when", metric.when, known).strip() not in ("", "False")


def _words(template: str, known: Mapping[str, Value]) -> tuple[str, ...]:
    text = _render(_WORDS, "command", template, known)
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"command: {error} in `{text}`") from None
    if not words:
        raise ValueError("command: there is none")
    return words


def _number(what: str, template: str, known: Mapping[str, Value]) -> float:
    text = _render(_NUMBERS, what, template, known)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{what}: {text!r} is not a number") from None


def _render(
    environment: ImmutableSandboxedEnvironment, what: str, template: str, known: Mapping[str, Value]
) -> str:
    try:
        return environment.from_string(template).render(known)
    except (TemplateError, ArithmeticError, TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from None
