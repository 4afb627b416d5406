# SPDX-License-Identifier: GPL-2.0-only
"""The JSON schema of sweep files, for editors. Made from the models, so that it cannot drift."""

from __future__ import annotations

from typing import Any

from lab.strictyaml.schema import file_schema
from lab.sweep.spec import SweepFileSpec

#: A name, not an address: nothing is fetched from there.
SCHEMA_ID = "urn:paravirt-lab:sweep:1"


def sweep_file_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a sweep file of version 1."""
    return file_schema(SweepFileSpec, SCHEMA_ID, "paravirt-lab sweep, version 1")
