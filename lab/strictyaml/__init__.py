# SPDX-License-Identifier: GPL-2.0-only
"""YAML read strictly: every value keeps its line, and all that is wrong is told as `file:line: path: message`."""
