# SPDX-License-Identifier: GPL-2.0-only
"""Sweeps: one topology with parameters, run at every point of a grid. Pure: what to run, and what came out."""
