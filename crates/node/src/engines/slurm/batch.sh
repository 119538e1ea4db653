#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A job of sta: @id@. It begins once, however often this script is started.
umask 077
export PATH=@path@
run=@run@
index=${SLURM_ARRAY_TASK_ID:-0}
full() {
  echo 'sta: the directory of the job cannot be written: is the disk or the quota full?' >&2
  exit @cannot_write@
}
if ! mkdir "$run/once.$index" 2>/dev/null; then
  [ -d "$run/once.$index" ] && exit 0
  full
fi
stamp() { printf '%s\n' "$2" >"$run/.$1.$index" && mv "$run/.$1.$index" "$run/$1.$index"; }
cd "$run/work" && stamp began "$(date +%s%N) $SLURM_JOB_ID $(hostname)" || full
# Slurm asks every process of the job to end; this one stays to write down how the command did.
trap : TERM INT HUP USR1 USR2
exec 3>&2
setsid --fork --wait sh -c 'exec 2>&3 3>&-; echo $$ >"$0"; exec "$@"' "$run/.pid.$index" @starter@ @command@ </dev/null 2>"$run/.said.$index" &
waiter=$!
exec 3>&-
(
  trap - TERM
  sleep @limit@
  echo over >"$run/limit.$index"
  group=$(cat "$run/.pid.$index")
  kill -TERM "-$group"
  sleep @grace@
  kill -KILL "-$group"
) >/dev/null 2>&1 &
timer=$!
while :; do
  wait "$waiter"
  status=$?
  kill -0 "$waiter" 2>/dev/null || break
done
how=code
if [ -s "$run/.said.$index" ]; then
  how=signal
  status=$((status & 127))
elif [ "$status" -gt 128 ] && kill -0 "-$(cat "$run/.pid.$index")" 2>/dev/null; then
  # setsid was ended itself and cannot say how the command ends: only that it does is waited for.
  how=unknown
  while kill -0 "-$(cat "$run/.pid.$index")" 2>/dev/null; do sleep 0.1; done
fi
kill "$timer" 2>/dev/null
peak=0
while IFS=: read -r _ controllers group; do
  # The job's own group and none above it: what others hold is not this job's.
  case $controllers:$group in
    *memory*:*/job_*) file=/sys/fs/cgroup/memory${group%/step_*}/memory.max_usage_in_bytes ;;
    :*/job_*) file=/sys/fs/cgroup${group%/step_*}/memory.peak ;;
    *) continue ;;
  esac
  [ -r "$file" ] && peak=$(cat "$file")
done </proc/self/cgroup
times >"$run/.times.$index"
stamp ended "$(date +%s%N) $how $status $peak $(tail -n 1 "$run/.times.$index")"
[ "$how" = signal ] && trap - TERM INT HUP USR1 USR2 && kill "-$status" $$
exit "$status"
