# SPDX-License-Identifier: GPL-2.0-only
"""Order, time and cleanup: carries a LabPlan out and fills a recording. Sees adapters through `ports` only."""
