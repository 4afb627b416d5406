# SPDX-License-Identifier: GPL-2.0-only
"""A recording in formats of other tools."""
