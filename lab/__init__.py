# SPDX-License-Identifier: GPL-2.0-only
"""paravirt-lab: overcommitted KVM guests from a topology file, steal and preemption as assertions."""
