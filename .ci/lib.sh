# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the scripts in this directory share. They run in the checkout's top directory.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A machine's files are looked for below this; the tests set it.
# shellcheck disable=SC2034
readonly MACHINE_ROOT=${SETUP_ROOT:-}
readonly EXIT_HOST_UNFIT=3
# shellcheck disable=SC2034
readonly LAB=.venv/bin/lab

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# die MESSAGE HINT
die() {
    say "$1"
    printf '  try: %s\n' "$2" >&2
    exit "$EXIT_HOST_UNFIT"
}

# The same answer as cache_root() in lab/artifacts/cache.py gives, without a virtual environment.
cache_dir() {
    if [ -n "${LAB_CACHE_DIR:-}" ]; then
        echo "$LAB_CACHE_DIR"
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then
        echo "$XDG_CACHE_HOME/paravirt-lab"
    elif [ "$(id -u)" = 0 ]; then
        echo /var/cache/paravirt-lab
    else
        echo "$HOME/.cache/paravirt-lab"
    fi
}

# The log of this run, made when the first long step needs it: a run with nothing to do leaves none.
log_file() {
    if [ -z "${LOG:-}" ]; then
        mkdir -p logs
        LOG=logs/${0##*/}-$(date +%Y%m%d-%H%M%S).log
    fi
}

# The last thing a log says, in few words, after apt's latest word on how far it is.
last_words() {
    local tail percent line
    tail=$(tail -c 4000 "$1" | tr '\r' '\n')
    percent=$(sed -nE 's/^(pm|dl)status:[^:]*:([0-9]+)[.0-9]*:.*/\2 %: /p' <<<"$tail" | tail -n 1)
    line=$(grep -vE '^[[:space:]]*$|^(pm|dl)status:' <<<"$tail" | tail -n 1) || true
    printf '%s%.90s\n' "$percent" "$line"
}

# Tell every few seconds how long a step has taken and how far it is, until killed or the script is gone.
follow() {
    local what=$1 begin=$SECONDS
    while kill -0 "$$" 2>/dev/null; do
        # Waits on a pipe that nobody writes to: a `sleep` would outlive the follower and hold the terminal.
        read -rt "${FOLLOW_S:-10}" <> <(:) || true
        say "$what: $((SECONDS - begin)) s: $(last_words "$LOG")"
    done
}

# step WHAT COMMAND...: the command's output goes to the log, its progress to the terminal. Where it fails, the
# log's tail is shown and the script ends with exit code 3.
step() {
    local what=$1 begin=$SECONDS status=0 follower
    shift
    log_file
    say "$what (log: $LOG)"
    printf '\n## %s: %s\n' "$what" "$*" >>"$LOG"
    follow "$what" &
    follower=$!
    # A daemon started here must not keep the terminal or a pipe open.
    "$@" </dev/null >>"$LOG" 2>&1 || status=$?
    kill "$follower" 2>/dev/null || true
    wait "$follower" 2>/dev/null || true
    if [ "$status" != 0 ]; then
        tail -n 25 "$LOG" | grep -vE '^(pm|dl)status:' >&2 || true
        say "$what: failed with status $status after $((SECONDS - begin)) s"
        die "the command was: $*" "read $LOG, mend it, and run the same again"
    fi
    say "$what: done in $((SECONDS - begin)) s"
}
