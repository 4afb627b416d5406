# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Run in a guest: puts a shell on its console, unless one that was put there still runs.
mkdir -p /run/lab
pid_file=/run/lab/console-shell.pid
[ -r "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null && exit 0
# The last one is that behind /dev/console (Documentation/ABI/testing/sysfs-tty).
read -r consoles </sys/class/tty/console/active
console=${consoles##* }
# shellcheck disable=SC2016 # the shell that is started says its own number
setsid -c sh -c 'echo $$ >"$1"; exec sh -i' sh "$pid_file" <"/dev/$console" >"/dev/$console" 2>&1 &
