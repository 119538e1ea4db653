# SPDX-License-Identifier: Apache-2.0
# What is the same in every job of sta, read by a job's own script, which says what $run, $limit and $grace are, whether srun
# starts its processes ($steps) and with which $cannot_write it exits where it cannot write, and gives the command with what starts it as "$@". A job begins once, however
# often its script is started.
umask 077
# Until it is told what they mean, this shell is neither stopped nor ended by them.
trap : TSTP CONT
index=${SLURM_ARRAY_TASK_ID:-0}
full() {
  echo 'sta: the directory of the job cannot be written: is the disk or the quota full?' >&2
  exit "$cannot_write"
}
if ! mkdir "$run/once.$index" 2>/dev/null; then
  [ -d "$run/once.$index" ] || full
  # Begun before. Where the first one still runs on this machine, this one's end would be taken for its end.
  read -r _ _ first machine <"$run/began.$index" || exit 0
  while [ "$machine" = "$(hostname)" ] && kill -0 "$first" 2>/dev/null && [ ! -e "$run/ended.$index" ]; do sleep 1; done
  exit 0
fi
# Asked to leave before it began: it never does.
[ ! -e "$run/notice" ] || exit 0
stamp() { printf '%s\n' "$2" >"$run/.$1.$index" && mv "$run/.$1.$index" "$run/$1.$index"; }
mkdir -p "$run/work" "$run/tmp" && cd "$run/work" && stamp began "$(date +%s%N) ${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID} $$ $(hostname)" || full
# Room for what is written at the end, should the job itself fill the disk.
head -c 16384 /dev/urandom >"$run/.room.$index" && printf '%4096s' '' >"$run/.said.$index" || full
told=no
noticed=no
waiter=
deadline=none
# Suspended before its command began.
if [ -e "$run/held" ]; then
  stamp stopped "$(date +%s%N)"
  while [ -e "$run/held" ]; do sleep 1; done
  rm -f "$run/stopped.$index"
fi
# The group that holds all processes of this job here, where there is one.
box=
while IFS=: read -r _ controllers group; do
  case $group in */job_*) ;; *) continue ;; esac
  job=${group#*/job_}
  for root in "/sys/fs/cgroup/$controllers" /sys/fs/cgroup; do
    [ -r "$root${group%%/job_*}/job_${job%%/*}/cgroup.procs" ] && box=$root${group%%/job_*}/job_${job%%/*}
  done
done </proc/self/cgroup
# The processes of the job here with their states: without this script, what it runs itself, and the timers.
members() {
  read -r own </proc/$$/stat
  set -- ${own##*) }
  own=$4
  pid=$(cat "$run/.pid.$index" 2>/dev/null)
  if [ -n "$box" ]; then find "$box" -name cgroup.procs -exec cat {} + | sort -u; else ls /proc; fi 2>/dev/null |
    while read -r process; do
      { read -r line <"/proc/$process/stat"; } 2>/dev/null || continue
      set -- ${line##*) }
      case $4 in "$own" | "$timer" | "$deadline") continue ;; esac
      [ -n "$box" ] || [ "$4" = "$pid" ] || continue
      echo "$process $1"
    done
}
# Stops them all where they are; while that is done, one of them may begin another.
halt() {
  tries=0
  while [ -e "$run/held" ] && [ "$tries" -lt 200 ]; do
    moving=$(members | while read -r process state; do
      case $state in T | t | Z | X) ;; *) kill -STOP "$process" 2>/dev/null && echo "$process" ;; esac
    done)
    [ -n "$moving" ] || { stamp stopped "$(date +%s%N)" && return; }
    tries=$((tries + 1))
  done
}
# Slurm continues what it ends, too: only who took the mark away means it.
proceed() {
  [ ! -e "$run/held" ] && [ -e "$run/stopped.$index" ] || return
  members | while read -r process _; do kill -CONT "$process" 2>/dev/null; done
  rm -f "$run/stopped.$index"
}
# The site's owner needs the place: the command is asked to end, once, and killed when its time is over; one that stands still by
# then has it again. What srun started Slurm asks itself, since srun would kill it at once, as it does when the time is over.
notice() {
  [ -e "$run/notice" ] && [ "$noticed" = no ] && [ -n "$waiter" ] || return
  until [ -s "$run/.pid.$index" ] || ! kill -0 "$waiter" 2>/dev/null; do sleep 0.05; done
  kill -0 "$waiter" 2>/dev/null || return
  noticed=yes
  told=yes
  group=$(cat "$run/.pid.$index")
  setsid sh -c '
    while sleep "$1"; do [ -e "$2/held" ] || break; done
    [ "$4" = no ] || { kill -TERM "-$3"; sleep 2; }
    kill -KILL "-$3"
  ' sta "$(cat "$run/notice")" "$run" "$group" "$steps" </dev/null >/dev/null 2>&1 &
  deadline=$!
  stamp noticed "$(date +%s%N)"
  [ "$steps" = yes ] || kill -TERM "-$group" 2>/dev/null
}
# Slurm tells this shell alone; it passes on what it is told, and stays to write down how the command did. A command that stands
# still is killed: to end by itself, it would have to go on.
tell() {
  if [ "$1" = TERM ] && [ "$noticed" = no ] && [ -e "$run/notice" ]; then
    notice
    return
  fi
  told=yes
  if [ -e "$run/held" ]; then
    members | while read -r process _; do kill -KILL "$process" 2>/dev/null; done
  else
    kill "-$1" "-$(cat "$run/.pid.$index" 2>/dev/null)" 2>/dev/null
  fi
}
timer=none
trap halt TSTP
trap proceed CONT
for signal in TERM INT HUP USR1 USR2; do
  trap "tell $signal" "$signal"
done
# Asked to leave while nobody listened.
[ ! -e "$run/notice" ] || { rm -f "$run/began.$index" && exit 0; }
exec 3>&2
setsid --fork --wait sh -c 'exec 2>&3 3>&-; echo $$ >"$0"; exec "$@"' "$run/.pid.$index" "$@" </dev/null 2<>"$run/.said.$index" &
waiter=$!
exec 3>&-
# In a session of its own, so that all of it can be ended: what is left over of a job costs Slurm a second to clear away.
setsid sh -c '
  sleep "$3"
  echo over >"$1/limit.$2"
  group=$(cat "$1/.pid.$2")
  kill -TERM "-$group"
  sleep "$4"
  kill -KILL "-$group"
' sta "$run" "$index" "$limit" "$grace" </dev/null >/dev/null 2>&1 &
timer=$!
# It may have been suspended while nothing was there to stop.
[ -e "$run/held" ] && halt
notice
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
for own in "$timer" "$deadline"; do
  [ "$own" = none ] || kill -KILL "-$own" 2>/dev/null || kill -KILL "$own" 2>/dev/null
done
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
rm -f "$run/.room.$index" "$run/stopped.$index"
times >"$run/.times.$index"
# What srun started may have heard of the notice before this shell, and be gone by now.
[ "$steps" = no ] || [ ! -e "$run/notice" ] || told=yes
stamp ended "$(date +%s%N) $how $status $peak $told $(tail -n 1 "$run/.times.$index")"
[ "$how" = signal ] && trap - TERM INT HUP USR1 USR2 TSTP CONT && kill "-$status" $$
exit "$status"
