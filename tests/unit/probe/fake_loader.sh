#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Stands in for the kernel's loader of modules: `loader load NAME PARAMETERS`, `loader unload NAME`. Ends with an
# errno. Its one module has parameters, and refuses to load unless low_threshold < high_threshold.
root=${0%/sbin/loader}
module=$root/sys/module/$2

if [ "$1" = unload ]; then
    [ "$(cat "$module/refcnt" 2>/dev/null || echo 0)" = 0 ] || exit 11 # EAGAIN
    rm -r "$module"
    exit 0
fi
if [ "$2" = steal_governor ]; then
    [ -e "$root/sys/module/dep" ] || exit 2 # ENOENT: what it needs is not there
    low_threshold=200 high_threshold=500 interval_ms=1000
    for word in $3; do
        case $word in
        low_threshold=*) low_threshold=${word#*=} ;;
        high_threshold=*) high_threshold=${word#*=} ;;
        interval_ms=*) interval_ms=${word#*=} ;;
        esac
    done
    if [ "$low_threshold" -ge "$high_threshold" ]; then
        echo "3,2,2,-;$2: low_threshold must be less than high_threshold" >>"$root/dev/kmsg"
        exit 22 # EINVAL
    fi
fi
mkdir -p "$module/parameters"
echo live >"$module/initstate"
[ "$2" = steal_governor ] || exit 0
echo "$low_threshold" >"$module/parameters/low_threshold"
echo "$high_threshold" >"$module/parameters/high_threshold"
echo "$interval_ms" >"$module/parameters/interval_ms"
chmod 444 "$module/parameters/"*
