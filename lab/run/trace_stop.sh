# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
# Ends the recorders whose directories are "$@", and returns when they have written everything. What they had to say
# besides is printed. Status 1 where one did not end as it should. A directory without one is left alone.
status=0

runs() {
	read -r name 2>/dev/null <"/proc/$1/comm" && [ "$name" = pvtrace ] &&
		read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" && [ "$state" != Z ]
}

for directory in "$@"; do
	read -r pid 2>/dev/null <"$directory/pid" && runs "$pid" && kill "$pid"
done
for directory in "$@"; do
	read -r pid 2>/dev/null <"$directory/pid" || continue
	while runs "$pid"; do
		sleep 0.05
	done
	grep -v -e '^ready ' -e '^done$' "$directory/said"
	grep -q '^done$' "$directory/said" || status=1
done
exit $status
