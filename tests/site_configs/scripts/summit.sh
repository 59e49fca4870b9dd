#!/bin/bash

#BSUB -W 120
#BSUB -J parsl.evostem-0.block-0
#BSUB -o /runs/demo/parsl/parsl.evostem-0.block-0.submit.stdout
#BSUB -e /runs/demo/parsl/parsl.evostem-0.block-0.submit.stderr
#BSUB -alloc_flags "gpumps smt1 nvme"
#BSUB -P abc123
#BSUB -nnodes 2


export PATH=/PYTHON/bin:$PATH

export JOBNAME="parsl.evostem-0.block-0"

set -e
WORKERCOUNT=2
SCRIPT_DIR="/runs/demo/parsl"
[[ -d $SCRIPT_DIR ]] || SCRIPT_DIR=""

cat << JSRUN_EOF > ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$JOBNAME.sh
/PYTHON/bin/python -m site_configs.guard --threads=1 --gpus=6 --vendor=nvidia --workers-per-gpu=1 -- process_worker_pool.py  --max_workers_per_node=6 -a 10.1.2.3 -p 0 -c 0.001 -m None --poll 100 --port=54321 --cert_dir /runs/demo/parsl/certificates --logdir=/tmp/evostem-UID-pools/evostem-0 --logconf=/runs/demo/parsl/log --block_id=0 --hb_period=60  --hb_threshold=300 --drain_period=6980 --cpu-affinity block  --mpi-launcher=mpiexec --available-accelerators 
JSRUN_EOF
chmod a+x ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$JOBNAME.sh

jsrun -n 2 -r 1 -a 1 -c 42 -g 6 -b none /bin/bash ${SCRIPT_DIR:+$SCRIPT_DIR/}cmd_$JOBNAME.sh &
wait

[[ "1" == "1" ]] && echo "Done"

