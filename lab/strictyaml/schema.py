# SPDX-License-Identifier: GPL-2.0-only
"""JSON schemas of files, for editors. Made from the models, so that they cannot drift."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def file_schema(model: type[BaseModel], schema_id: str, title: str) -> dict[str, Any]:
    """JSON schema (2020-12) of the files that `model` describes; `schema_id` is a name, not an address."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_id,
        **model.model_json_schema(mode="validation"),
        "title": title,
    }
