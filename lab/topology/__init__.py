# SPDX-License-Identifier: GPL-2.0-only
"""What the user asked for: the topology file, decoded and checked. Pure."""
