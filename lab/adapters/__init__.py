# SPDX-License-Identifier: GPL-2.0-only
"""The only place that talks to libvirt, ssh, processes and the host's files. Foreign errors end here."""
