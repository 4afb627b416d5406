# SPDX-License-Identifier: GPL-2.0-only
"""Statistics of repeated measurements: pure, and numpy and scipy are loaded when something is computed."""
