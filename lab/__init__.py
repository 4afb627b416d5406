# SPDX-License-Identifier: GPL-2.0-only
"""paravirt-lab: overcommitted KVM guests from a topology file, steal and preemption as assertions."""

__version__ = "0.1.0"
