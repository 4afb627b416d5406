# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
# Starts the recorder "$@", whose directory is $2, and returns when it records: in there, `pid` says which process it
# is, and `said` has its words. Status 3 where the kernel has no tracepoints of its scheduler: pvtrace takes an event
# that is not there for one of another kernel.
directory=$2
mkdir -p "$directory" || exit 1
rm -f "$directory/about" # of an attempt that was given up: a recorder writes over none
"$@" </dev/null >"$directory/said" 2>&1 &
pid=$!
echo "$pid" >"$directory/pid"

alive() {
	read -r _ _ state _ 2>/dev/null <"/proc/$pid/stat" && [ "$state" != Z ]
}

until grep -q '^ready ' "$directory/said"; do
	if ! alive && ! grep -q '^ready ' "$directory/said"; then
		cat "$directory/said" >&2
		exit 1
	fi
	sleep 0.05
done
if grep -q '^event sched:sched_switch absent' "$directory/about"; then
	kill "$pid"
	exit 3
fi
