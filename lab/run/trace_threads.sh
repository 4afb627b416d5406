# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
# Writes into directory $1 whose thread is whose on this host: `threads` ("TID OWNER ROLE..."), `pids` (the same
# threads, a number each), and `offsets` ("NODE VCPU TSC_OFFSET RATIO FRACTION_BITS" of KVM, "-" where it does not
# tell). After $1 come three words for each process: guest or hog, its name, and the file that has its number. One
# that does not run is left out.
directory=$1
shift
mkdir -p "$directory" || exit 1
: >"$directory/threads"
: >"$directory/pids"
: >"$directory/offsets"
[ -d /sys/kernel/debug/kvm ] || mount -t debugfs none /sys/kernel/debug 2>/dev/null

role_of() {
	case $1 in
	guest:CPU\ */*) role=${1#guest:CPU } role="vcpu ${role%%/*}" ;;
	guest:IO\ *) role=iothread ;;
	guest:*) role=emulator ;;
	*/*) role="thread ${1##*/}" ;;
	*) role=main ;;
	esac
}

tell_threads() {
	for task in "/proc/$pid/task"/*; do
		read -r name 2>/dev/null <"$task/comm" || continue
		role_of "$kind:$name"
		echo "${task##*/} $owner $role" >>"$directory/threads"
		echo "${task##*/}" >>"$directory/pids"
	done
}

tell_offsets() {
	for vcpu in "/sys/kernel/debug/kvm/$pid"-*/vcpu*; do
		read -r offset 2>/dev/null <"$vcpu/tsc-offset" || continue
		read -r ratio 2>/dev/null <"$vcpu/tsc-scaling-ratio" || ratio=-
		read -r bits 2>/dev/null <"$vcpu/tsc-scaling-ratio-frac-bits" || bits=-
		echo "$owner ${vcpu##*vcpu} $offset $ratio $bits" >>"$directory/offsets"
	done
}

while [ $# -ge 3 ]; do
	kind=$1 owner=$2
	pid=
	read -r pid 2>/dev/null <"$3" # libvirt ends its files without a newline, which read calls a failure
	if [ -n "$pid" ]; then
		tell_threads
		tell_offsets
	fi
	shift 3
done
