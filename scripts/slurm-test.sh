#!/usr/bin/env bash
# Job arrays on a real Slurm: a private slurmctld, slurmd and munged on this machine embed a FASTA file in four shards on two
# (pretended) GPUs and merge them, while workers and the node are killed. The result must be that of one process. A task that is
# warned of its time limit goes on, alone; no two tasks hold one GPU; an array that is cancelled stays so.
#
#   scripts/slurm-test.sh [--trials N] [--kills N] [--data FASTA] [PROGRAM]
#
# --trials: runs, each with --kills kills at random moments (default 1 and 1). --data: proteins (default: those of the demo).
# PROGRAM: target/release/biollmnet. Wants root, and Debian's slurm-wlm and munge, which it installs; elsewhere it says so and
# ends with 0. Nothing of a Slurm that runs here is touched: ports, keys, sockets and folders are its own.
set -euo pipefail
cd "$(dirname "$0")/.."
row=$PWD/target/faults/row-13.tsv

trials=1 kills=1 data='' program=target/release/biollmnet
while [ $# -gt 0 ]; do
  case $1 in
    --trials) trials=$2; shift 2 ;;
    --kills) kills=$2; shift 2 ;;
    --data) data=$(realpath "$2"); shift 2 ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) program=$1; shift ;;
  esac
done
program=$(realpath "$program")
skip() { echo "skipped: $*"; exit 0; }

[ "$(id -u)" = 0 ] || skip "a private Slurm wants root"
# One name each: `command -v` is content with one of several.
have() { for tool in "$@"; do command -v "$tool" >/dev/null || return 1; done; }
if ! have slurmctld slurmd sbatch munged; then
  command -v apt-get >/dev/null || skip "slurmctld, slurmd and munged are not here"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null ||
    skip "slurm-wlm and munge cannot be installed"
fi

began=$SECONDS tried=0 failures=0 shots=0
# The line of the fault matrix, of what was really tried: an end before its time is a failure.
write_row() { # exit code
  local failed=$failures
  if [ "$1" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  mkdir -p "${row%/*}"
  printf '13\tworker or node lost on Slurm\t%d\t%d\t%d\t%s\n' "$tried" "$failed" $((SECONDS - began)) \
    "$shots kills" >"$row"
}

place=$(mktemp -d /tmp/slurm-test.XXXXXX)
chmod 755 "$place"
declare -A daemon=()
# Only what belongs to this Slurm is ever killed: the shepherds that write to its log, and what they started.
shepherds() {
  local pid
  for pid in $(pgrep -x slurmstepd); do
    if ls -l "/proc/$pid/fd" 2>/dev/null | grep -qF -- "-> $place/slurmd.log"; then echo "$pid"; fi
  done
}
with_children() { # pids
  local pid
  for pid in "$@"; do
    echo "$pid"
    with_children $(pgrep -P "$pid")
  done
}
kill_jobs() { with_children $(shepherds) | xargs -r kill -9 2>/dev/null || true; }
finish() {
  code=$?
  # The daemon first, so that no job is started behind our back.
  for name in "${!daemon[@]}"; do kill -9 "${daemon[$name]}" 2>/dev/null || true; done
  kill_jobs
  if [ "$code" != 0 ]; then
    tail -n 15 "$place"/*.log "$place"/out/* >&2 2>/dev/null || true
  fi
  write_row "$code"
  rm -rf "$place"
  exit "$code"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# ---- A cluster of one node with two pretended GPUs ----

node=$(hostname -s)
# Ports that nobody listens on.
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
mkdir -p "$place"/{state,spool,out,munge}
chmod 700 "$place/munge"
dd if=/dev/urandom of="$place/munge/key" bs=1024 count=1 status=none
chmod 400 "$place/munge/key"
cat >"$place/slurm.conf" <<CONF
ClusterName=private
SlurmctldHost=$node(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket,cred_expire=6
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$(port)
SlurmdPort=$(port)
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=0
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=600
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=$node NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 Gres=gpu:2
PartitionName=main Nodes=$node Default=YES State=UP MaxTime=INFINITE
CONF
# Slurm wants devices; any will do, since no task opens them.
printf 'NodeName=%s Name=gpu File=%s\n' "$node" /dev/null "$node" /dev/zero >"$place/gres.conf"
export SLURM_CONF=$place/slurm.conf

within() { # seconds, command…
  local limit=$1 i
  shift
  for ((i = 0; i < limit * 5; i++)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  return 1
}
until_true() { # seconds, words for a failure, command…
  local limit=$1 words=$2
  shift 2
  within "$limit" "$@" || fail "$words within $limit s"
}
start_slurmd() {
  slurmd -D -N "$node" >>"$place/slurmd-console.log" 2>&1 &
  daemon[slurmd]=$!
  disown
}
munged --foreground --force --socket="$place/munge/socket" --key-file="$place/munge/key" --pid-file="$place/munge/pid" \
  --seed-file="$place/munge/seed" --log-file="$place/munge.log" >/dev/null 2>&1 &
daemon[munged]=$!
disown
until_true 20 "munged did not start" test -S "$place/munge/socket"
slurmctld -D >"$place/slurmctld-console.log" 2>&1 &
daemon[slurmctld]=$!
disown
start_slurmd
is_up() { sinfo -h -o %T | grep -Eq 'idle|mixed|allocated'; }
until_true 60 "the node did not come up" is_up

# ---- What is computed, and what one process makes of it ----

cd "$place"
export BIOLLMNET_PROGRESS=none BIOLLMNET_DEVICE=cpu BIOLLMNET_THREADS=1
"$program" demo --out demo >/dev/null 2>&1
[ -n "$data" ] || data=$place/demo/input/protein.fasta
# The first records, as far as they are some 40 kB: seconds for each shard.
awk '/^>/ && size > 40000 { exit } { print; size += length }' "$data" >input.fa
"$program" init --config esm2-8m --out esm >/dev/null
embed=(embed input.fa --encoder esm --checkpoint 1 --out)
"$program" "${embed[@]}" whole >/dev/null
seen() { # store: what other tools see of it
  "$program" export "$1" --format npy --out "$1.npy" >/dev/null
  cat "$1.npy" "$1.ids.tsv" | sha256sum
}
whole=$(seen whole)
# Writes down the GPU that a task was given and for how long, around the program.
cat >on-gpu <<SCRIPT
#!/bin/bash
if [ -n "\${SLURM_ARRAY_TASK_ID:-}" ]; then echo "\$(date +%s.%N) begin \${CUDA_VISIBLE_DEVICES:-none}" >>"$place/gpus"; fi
"$program" "\$@" &
child=\$! signalled=0
trap 'signalled=1; kill -TERM \$child 2>/dev/null' TERM
wait \$child; code=\$?
while [ \$signalled = 1 ]; do signalled=0; wait \$child; code=\$?; done
if [ -n "\${SLURM_ARRAY_TASK_ID:-}" ]; then echo "\$(date +%s.%N) end \${CUDA_VISIBLE_DEVICES:-none}" >>"$place/gpus"; fi
exit \$code
SCRIPT
chmod +x on-gpu

submit() { # store
  "$program" slurm --shards 4 --gpus 1 --job-name "$1" --program "$place/on-gpu" --sbatch="--output=$place/out/%x-%A_%a.txt" \
    --submit --json -- "${embed[@]}" "$1"
}
# Files of the vectors of finished shards: a shard that is done again would have new ones.
vectors_of() { find "$1".shards -path '*/.partial' -prune -o -path '*/vec/*' -printf '%i\n' 2>/dev/null || true; }
workers() { # store: processes of this Slurm that embed it
  local pid
  for pid in $(with_children $(shepherds)); do
    # It may have ended meanwhile.
    if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q "^$program embed input.fa.*--out $1 \$"; then echo "$pid"; fi
  done
}
is_at_work() { [ -n "$(workers "$1")" ] || [ -e "$1/manifest.json" ]; }
queue_is_empty() { [ -z "$(squeue -h -o %i)" ]; }
is_over() { # no job but a merge that waits for a task that failed
  [ -z "$(squeue -h -o '%i %T %r' | grep -v 'DependencyNeverSatisfied' || true)" ]
}

kill_worker() {
  local victim
  victim=$(workers "$1" | shuf -n 1)
  [ -n "$victim" ] || return 1
  kill -9 "$victim" 2>/dev/null && echo -n ' worker'
}
kill_node() {
  # The daemon, the shepherds of its jobs, and the jobs.
  kill -9 "${daemon[slurmd]}" 2>/dev/null || true
  kill_jobs
  sleep 1
  # A busy controller takes most of a minute to see it; a daemon that waits for a job that is no more is started again.
  for ((start = 0; start < 3; start++)); do
    start_slurmd
    if within 90 is_up; then
      echo -n ' node'
      return
    fi
    kill -9 "${daemon[slurmd]}" 2>/dev/null || true
    sleep 1
  done
  fail "the node did not come back"
}

for ((trial = 1; trial <= trials; trial++)); do
  out=trial-$trial started=$SECONDS finished=''
  echo -n "trial $trial:"
  submit "$out" >submitted.json
  for ((kill = 0; kill < kills; kill++)); do
    # After the node was lost, the controller takes up to a minute to miss its jobs.
    until_true 240 "no worker was seen" is_at_work "$out"
    sleep "$(awk -v seed="$RANDOM" 'BEGIN { srand(seed); print rand() * 2.5 }')"
    finished+=" $(vectors_of "$out")"
    # Where no worker is left the node goes: every trial has its kills.
    if [ $((RANDOM % 3)) = 0 ] || [ $(((trial + kill) % 4)) = 2 ] || ! kill_worker "$out"; then kill_node; fi
    shots=$((shots + 1))
  done
  for ((again = 0; ; again++)); do
    until_true 400 "the jobs did not end" is_over
    [ ! -e "$out/manifest.json" ] || break
    [ "$again" -lt 5 ] || fail "trial $trial: the store is not there after $again resubmissions"
    # Somebody resubmits what was lost: finished shards are not done again.
    squeue -h -o %i | xargs -r scancel
    until_true 30 "the queue did not empty" queue_is_empty
    finished+=" $(vectors_of "$out")"
    submit "$out" >submitted.json
    echo -n ' resubmitted'
  done
  same=yes
  [ "$(seen "$out")" = "$whole" ] || same='OTHER BYTES'
  "$program" verify "$out" >/dev/null || same='VERIFY FAILED'
  [ ! -e "$out.shards" ] || same='SHARDS LEFT'
  for inode in $finished; do
    find "$out/vec" -inum "$inode" | grep -q . || same='A FINISHED SHARD WAS DONE AGAIN'
  done
  tried=$((tried + 1))
  [ "$same" = yes ] || failures=$((failures + 1))
  [ "$same" = yes ] && same='same bytes'
  echo "; $same, $((SECONDS - started)) s"
  rm -rf "$out" "$out".*
done

# ---- A task that is warned of its time limit, and an array that somebody cancels ----

array_of() { sed -n 's/.*"array": *"\([0-9]*\)".*/\1/p' submitted.json; }
restarts() { scontrol show job "$1" | grep -o 'Restarts=[0-9]*' | sort | uniq -c | xargs; }

# Nothing is killed here, so that every task writes down when it gives back its GPU.
: >gpus
submit warned >submitted.json
array=$(array_of)
# The last task, whose number is that of the whole array.
until_true 120 "the last task did not begin" test -s "out/warned-${array}_3.txt"
scancel --batch --signal=TERM "${array}_3"
until_true 400 "the jobs did not end" is_over
[ "$(restarts "$array")" = '3 Restarts=0 1 Restarts=1' ] || fail "a warned task: $(restarts "$array")"
[ "$(seen warned)" = "$whole" ] || fail "a warned task: other bytes"
# No GPU is held twice at any moment, both are used, and each of the five tasks had one.
sort -n gpus | awk '$2 == "begin" { n++; if (++held[$3] > 1 || $3 == "none") bad = 1; used[$3] = 1 } $2 == "end" { held[$3]-- }
  END { exit bad || n != 5 || length(used) != 2 }' || fail "a GPU was shared, or not used: $(sort -n gpus | xargs)"
echo "a warned task was queued again, alone; two tasks at a time, each on a GPU of its own; same bytes"

submit cancelled >submitted.json
array=$(array_of)
until_true 60 "no worker was seen" is_at_work cancelled
scancel "$array"
until_true 60 "a cancelled array did not end" is_over
[ "$(restarts "$array" | grep -c 'Restarts=[1-9]')" = 0 ] || fail "a cancelled array came back: $(restarts "$array")"
[ ! -e cancelled/manifest.json ] || fail "a cancelled array was merged"
echo "a cancelled array stayed so"

[ "$failures" = 0 ] || fail "$failures of $trials trials"
echo "$trials trials, $shots kills, every store that of one process"
