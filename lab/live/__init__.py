# SPDX-License-Identifier: GPL-2.0-only
"""What is seen of a lab while it runs, for people to look at. Pure: looks and events in, rows and lines out.

Nothing here is a measurement: rates are over a few seconds, clocks are not matched, and a vCPU that folds or a
guest that starts anew in between shows as it comes.
"""
