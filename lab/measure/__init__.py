# SPDX-License-Identifier: GPL-2.0-only
"""What the recorded bytes mean. Pure."""
