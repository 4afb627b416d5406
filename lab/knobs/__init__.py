# SPDX-License-Identifier: GPL-2.0-only
"""Knobs as named things: what each name means, and where each kernel generation keeps it."""
