# SPDX-License-Identifier: GPL-2.0-only
"""Bisection: what is known of each commit, what to do next, and what came out. Pure."""
