# SPDX-License-Identifier: GPL-2.0-only
"""Was it right: verdicts out of a plan's expectations and measured windows. Pure."""
