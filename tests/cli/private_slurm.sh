# A Slurm of one node on loopback, for tests: own configuration, state and ports under one folder, own
# munge key; nothing of the machine's is read or changed. Sourced by bash.
#   private_slurm_start FOLDER   starts it and exports SLURM_CONF; fails with the reason in SLURM_WHY
#   private_slurm_stop           ends what it started
SLURM_PIDS=()
SLURM_WHY=

# A port nobody listens on, counted up from a start that differs between test processes.
slurm_free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}

# slurm_wait SECONDS COMMAND...: until the command succeeds.
slurm_wait() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.2
  done
}

slurm_write_conf() {
  local folder=$1 host user port
  host=$(hostname -s)
  user=$(id -un)
  port=$(slurm_free_port $((20000 + $$ % 20000)))
  cat >"$folder/slurm.conf" <<CONF
ClusterName=tierscope
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge/munge.sock
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdParameters=config_overrides
SwitchType=switch/none
MinJobAge=10
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
}

private_slurm_start() {
  local folder=$1 program
  for program in munged slurmctld slurmd sbatch squeue scancel sinfo; do
    PATH=$PATH:/usr/sbin command -v $program >/dev/null || {
      SLURM_WHY="$program is not installed (Debian: slurm-wlm and munge)"
      return 1
    }
  done
  export PATH=$PATH:/usr/sbin
  mkdir -p "$folder/munge" "$folder/state" "$folder/spool"
  chmod 755 "$folder/munge"
  (umask 077 && head -c 128 /dev/urandom >"$folder/munge/key")
  slurm_write_conf "$folder"
  export SLURM_CONF=$folder/slurm.conf
  munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/munge.sock" \
    --pid-file="$folder/munge/pid" --seed-file="$folder/munge/seed" --log-file="$folder/munge/log" \
    --num-threads=2 >"$folder/munged.out" 2>&1 &
  SLURM_PIDS+=($!)
  slurm_wait 10 test -S "$folder/munge/munge.sock" || {
    SLURM_WHY="munged does not start: $(tail -n 1 "$folder/munged.out")"
    return 1
  }
  slurmctld -D -c >"$folder/slurmctld.out" 2>&1 &
  SLURM_PIDS+=($!)
  slurmd -D -c -N "$(hostname -s)" >"$folder/slurmd.out" 2>&1 &
  SLURM_PIDS+=($!)
  slurm_wait 30 sh -c 'sinfo -h -o %t | grep -qx idle' || {
    SLURM_WHY="slurmctld and slurmd do not come up: $(tail -n 1 "$folder/slurmctld.out"); $(tail -n 1 "$folder/slurmd.out")"
    return 1
  }
}

private_slurm_stop() {
  local pid
  [ ${#SLURM_PIDS[@]} -eq 0 ] && return
  scancel --user="$(id -un)" >/dev/null 2>&1
  for ((pid = ${#SLURM_PIDS[@]} - 1; pid >= 0; pid--)); do
    kill "${SLURM_PIDS[pid]}" 2>/dev/null
  done
  wait "${SLURM_PIDS[@]}" 2>/dev/null
  SLURM_PIDS=()
}
