# SPDX-License-Identifier: GPL-2.0-only
"""A recording as one page, or as text for a mail. Pure."""
