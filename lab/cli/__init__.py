# SPDX-License-Identifier: GPL-2.0-only
"""The `lab` command: one small file per verb. Results go to stdout, progress and errors to stderr."""
