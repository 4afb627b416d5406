# SPDX-License-Identifier: GPL-2.0-only
"""Traces of the scheduler: from the kernel's ring buffers to what each vCPU did at every moment.

    ring-buffer pages, formats -> decoded events -> one timeline for each vCPU -> preemptions, latencies

Everything here is pure; `lab.run` records, `lab.recording` keeps, `lab.judge` judges.
"""
