# SPDX-License-Identifier: GPL-2.0-only
"""The JSON schema of topology files, for editors. Made from the models, so that it cannot drift."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from lab.strictyaml.schema import file_schema
from lab.topology.spec import TopologySpec

#: A name, not an address: nothing is fetched from there.
SCHEMA_ID = "urn:paravirt-lab:topology:1"


def topology_schema(model: type[BaseModel] = TopologySpec) -> dict[str, Any]:
    """JSON schema (2020-12) of `model`, by default of a topology file of version 1."""
    return file_schema(model, SCHEMA_ID, "paravirt-lab topology, version 1")
