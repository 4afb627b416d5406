# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Prints what planning needs to know about a host, one `key=value` a line. Runs in any POSIX shell.
echo "pcpus=$(cat /sys/devices/system/cpu/online)"
# Every sibling names its whole core: who reads this takes each core once.
cores=
for list in /sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list; do
    [ -r "$list" ] && read -r pcpus <"$list" && cores="$cores $pcpus"
done
echo "cores=$cores"
nodes=
for list in /sys/devices/system/node/node[0-9]*/cpulist; do
    [ -r "$list" ] && read -r pcpus <"$list" && nodes="$nodes $pcpus"
done
echo "numa_nodes=$nodes"
while read -r key kib _; do
    [ "$key" = MemTotal: ] && echo "memory_kib=$kib"
done </proc/meminfo
echo "kernel=$(uname -r)"
echo "arch=$(uname -m)"
while IFS=: read -r key name; do
    case $key in "model name"*) echo "cpu=${name# }"; break ;; esac
done </proc/cpuinfo
for flag in svm vmx; do
    grep -qw "$flag" /proc/cpuinfo && echo "virtualisation=$flag"
done
grep -q 'TCG' /proc/cpuinfo && echo "emulated=1"
[ -e /run/lab/emulated ] && echo "emulated=1"
[ -c /dev/kvm ] && echo "kvm=1"
for path in /usr/bin/qemu-system-x86_64 /usr/libexec/qemu-kvm; do
    [ -x "$path" ] && { echo "emulator=$path"; break; }
done
# qboot does nothing but start a kernel: a guest of an emulated host saves half a second by it.
[ -r /usr/share/qemu/qboot.rom ] && echo "qboot=/usr/share/qemu/qboot.rom"
exit 0
