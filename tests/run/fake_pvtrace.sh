#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Stands for pvtrace where only its words and its end matter; the last part of its directory says how it goes.
case ${1##*/} in
refused)
	echo "pvtrace: tracefs: No such device" >&2
	exit 1
	;;
clean) exit 0 ;;
esac
[ -e "$1/about" ] && echo "about: File exists" && exit 1
echo "$*" >"$1/words"
event=present
[ "${1##*/}" = absent ] && event=absent
echo "event sched:sched_switch $event" >"$1/about"
sleep 0.1
trap 'echo "pvtrace: 7 bytes were recorded and not written" >&2; echo "done"; exit 0' TERM
[ "${1##*/}" = stubborn ] && trap 'echo "pvtrace: it is full" >&2; exit 1' TERM
echo "ready 5"
while :; do
	sleep 0.02
done
