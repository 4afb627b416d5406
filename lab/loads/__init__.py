# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of loads: what can run in guests, how it is started, what it reports."""
