#!/bin/bash

#PBS -S /bin/bash
#PBS -N parsl.evostem-0.block-0
#PBS -m n
#PBS -l walltime=02:00:00
#PBS -l select=10:ncpus=64:ngpus=4
#PBS -o /runs/demo/parsl/parsl.evostem-0.block-0.stdout
#PBS -e /runs/demo/parsl/parsl.evostem-0.block-0.stderr
#PBS -A abc123
#PBS -q prod
#PBS -l filesystems=home:eagle
#PBS -l place=scatter

export PATH=/PYTHON/bin:$PATH

export JOBNAME="parsl.evostem-0.block-0"

set -e
export CORES=$(getconf _NPROCESSORS_ONLN)
[[ "1" == "1" ]] && echo "Found cores : $CORES"
WORKERCOUNT=10
SCRIPT_DIR="/runs/demo/parsl"
[[ -d $SCRIPT_DIR ]] || SCRIPT_DIR=""

# Deduplicate the nodefile
HOSTFILE="$JOBNAME.nodes"
if [ -z "$PBS_NODEFILE" ]; then
    echo "localhost" > $HOSTFILE
else
    sort -u $PBS_NODEFILE > $HOSTFILE
fi

cat << MPIEXEC_EOF > ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$JOBNAME.sh
/PYTHON/bin/python -m site_configs.guard --threads=1 --gpus=4 --vendor=nvidia --workers-per-gpu=1 -- process_worker_pool.py  --max_workers_per_node=4 -a 10.1.2.3 -p 0 -c 0.001 -m None --poll 100 --port=54321 --cert_dir /runs/demo/parsl/certificates --logdir=/tmp/evostem-UID-pools/evostem-0 --logconf=/runs/demo/parsl/log --block_id=0 --hb_period=60  --hb_threshold=300 --drain_period=6980 --cpu-affinity list:24-31:16-23:8-15:0-7  --mpi-launcher=mpiexec --available-accelerators 
MPIEXEC_EOF
chmod u+x ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$JOBNAME.sh

mpiexec --cpu-bind none --ppn 1 --depth=64 --no-abort-on-failure -n $WORKERCOUNT --hostfile $HOSTFILE /usr/bin/sh ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$JOBNAME.sh

[[ "1" == "1" ]] && echo "All workers done"


