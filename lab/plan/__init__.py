# SPDX-License-Identifier: GPL-2.0-only
"""What was decided: from (Topology, HostFacts) to a LabPlan. Pure."""
