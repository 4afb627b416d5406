#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ssh in a session of its own, for libvirt: Ctrl-C in the terminal must not cut the connection that the lab needs
# to clean up.
exec setsid ssh "$@"
