#!/bin/bash

#SBATCH --job-name=parsl.evostem-0.block-0
#SBATCH --output=/runs/demo/parsl/parsl.evostem-0.block-0.stdout
#SBATCH --error=/runs/demo/parsl/parsl.evostem-0.block-0.stderr
#SBATCH --nodes=2
#SBATCH --time=120
#SBATCH --ntasks-per-node=1
#SBATCH --no-requeue
#SBATCH --no-kill
#SBATCH --mem=0
#SBATCH --constraint=nvme
#SBATCH --exclusive
#SBATCH --partition=batch
#SBATCH --account=abc123
#SBATCH --gpus-per-node=8


export PATH=/PYTHON/bin:$PATH


export JOBNAME="parsl.evostem-0.block-0"

set -e
export CORES=$SLURM_CPUS_ON_NODE
export NODES=$SLURM_JOB_NUM_NODES

[[ "1" == "1" ]] && echo "Found cores : $CORES"
[[ "1" == "1" ]] && echo "Found nodes : $NODES"
WORKERCOUNT=2
SCRIPT_DIR="/runs/demo/parsl"
[[ -d $SCRIPT_DIR ]] || SCRIPT_DIR=""

cat << SLURM_EOF > ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$SLURM_JOB_NAME.sh
/PYTHON/bin/python -m site_configs.guard --threads=1 --gpus=8 --vendor=amd --workers-per-gpu=1 -- process_worker_pool.py  --max_workers_per_node=8 -a 10.1.2.3 -p 0 -c 0.001 -m None --poll 100 --port=54321 --cert_dir /runs/demo/parsl/certificates --logdir=/tmp/evostem-UID-pools/evostem-0 --logconf=/runs/demo/parsl/log --block_id=0 --hb_period=60  --hb_threshold=300 --drain_period=6980 --cpu-affinity list:49-55:57-63:17-23:25-31:1-7:9-15:33-39:41-47  --mpi-launcher=mpiexec --available-accelerators 
SLURM_EOF
chmod a+x ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$SLURM_JOB_NAME.sh

srun --ntasks 2 -l --no-kill --kill-on-bad-exit=0 --wait=0 --cpu-bind=none --cpus-per-task=56 bash ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$SLURM_JOB_NAME.sh

[[ "1" == "1" ]] && echo "Done"

