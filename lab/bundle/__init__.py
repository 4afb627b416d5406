# SPDX-License-Identifier: GPL-2.0-only
"""Bundles: a recording with everything that is needed to understand, check and run it again elsewhere."""
