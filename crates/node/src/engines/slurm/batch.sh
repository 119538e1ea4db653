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
  [ -d "$run/once.$index" ] || full
  # Begun before. Where the first one still runs on this machine, this one's end would be taken for its end.
  read -r _ _ first machine <"$run/began.$index" || exit 0
  while [ "$machine" = "$(hostname)" ] && kill -0 "$first" 2>/dev/null && [ ! -e "$run/ended.$index" ]; do sleep 1; done
  exit 0
fi
stamp() { printf '%s\n' "$2" >"$run/.$1.$index" && mv "$run/.$1.$index" "$run/$1.$index"; }
cd "$run/work" && stamp began "$(date +%s%N) ${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID} $$ $(hostname)" || full
# Room for what is written at the end, should the job itself fill the disk.
head -c 16384 /dev/urandom >"$run/.room.$index" && printf '%4096s' '' >"$run/.said.$index" || full
told=no
# Slurm tells this shell alone; it passes on what it is told, and stays to write down how the command did.
for signal in TERM INT HUP USR1 USR2; do
  trap "told=yes; kill -$signal \"-\$(cat '$run/.pid.$index' 2>/dev/null)\" 2>/dev/null" "$signal"
done
exec 3>&2
setsid --fork --wait sh -c 'exec 2>&3 3>&-; echo $$ >"$0"; exec "$@"' "$run/.pid.$index" @starter@ @command@ </dev/null 2<>"$run/.said.$index" &
waiter=$!
exec 3>&-
# In a session of its own, so that all of it can be ended: what is left over of a job costs Slurm a second to clear away.
setsid sh -c '
  sleep @limit@
  echo over >"$1/limit.$2"
  group=$(cat "$1/.pid.$2")
  kill -TERM "-$group"
  sleep @grace@
  kill -KILL "-$group"
' sta "$run" "$index" </dev/null >/dev/null 2>&1 &
timer=$!
while :; do
  wait "$waiter"
  status=$?
  kill -0 "$waiter" 2>/dev/null || break
done
how=code
if [ -n "$(tr -d ' ' <"$run/.said.$index")" ]; then
  how=signal
  status=$((status & 127))
elif [ "$status" -gt 128 ] && kill -0 "-$(cat "$run/.pid.$index")" 2>/dev/null; then
  # setsid was ended itself and cannot say how the command ends: only that it does is waited for.
  how=unknown
  while kill -0 "-$(cat "$run/.pid.$index")" 2>/dev/null; do sleep 0.1; done
fi
kill -KILL "-$timer" 2>/dev/null || kill -KILL "$timer" 2>/dev/null
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
rm -f "$run/.room.$index"
times >"$run/.times.$index"
stamp ended "$(date +%s%N) $how $status $peak $told $(tail -n 1 "$run/.times.$index")"
[ "$how" = signal ] && trap - TERM INT HUP USR1 USR2 && kill "-$status" $$
exit "$status"
