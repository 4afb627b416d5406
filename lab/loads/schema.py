# SPDX-License-Identifier: GPL-2.0-only
"""The JSON schema of load files, for editors. Made from the models, so that it cannot drift."""

from __future__ import annotations

from typing import Any

from lab.loads.spec import LoadFileSpec
from lab.strictyaml.schema import file_schema

#: A name, not an address: nothing is fetched from there.
SCHEMA_ID = "urn:paravirt-lab:loads:1"


def load_file_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a file of load definitions of version 1."""
    return file_schema(LoadFileSpec, SCHEMA_ID, "paravirt-lab load definitions, version 1")
