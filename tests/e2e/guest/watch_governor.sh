#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# watch_governor.sh TIMES: print "CHECKS RATIO DECISION" of the kernel's steal governor, TIMES times, 0.1 s apart.
cd /sys/kernel/debug/sched/paravirt_governor || exit 1
times=$1
while [ "$times" -gt 0 ]; do
	read -r before <checks
	read -r lost <ratio
	read -r decided <last_decision
	read -r after <checks
	# Otherwise a check came in between.
	[ "$before" = "$after" ] && echo "$before $lost $decided"
	times=$((times - 1))
	sleep 0.1
done
