# SPDX-License-Identifier: GPL-2.0-only
"""The JSON schema of knob files, for editors. Made from the models, so that it cannot drift."""

from __future__ import annotations

from typing import Any

from lab.knobs.spec import KnobFileSpec
from lab.strictyaml.schema import file_schema

#: A name, not an address: nothing is fetched from there.
SCHEMA_ID = "urn:paravirt-lab:knobs:1"


def knob_file_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a file of knob definitions of version 1."""
    return file_schema(KnobFileSpec, SCHEMA_ID, "paravirt-lab knob definitions, version 1")
