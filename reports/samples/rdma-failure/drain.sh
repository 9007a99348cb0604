#!/bin/sh
# netprobe run 2026-11-23T02-00-00Z-7f3a, 2026-11-23T02:00:00.000Z: FAULTY
# blamed by findings that block: node05
#
# This prints commands and runs none. Read them; then, for example:
#   sh drain.sh slurm | sh
set -eu

slurm() {
    cat <<'END_OF_COMMANDS'
# Slurm
scontrol update nodename=node05 state=drain 'reason=netprobe: rdma-failure: cannot use RDMA with 3 of 3 partners (node01, node04, node08): their addresses (GIDs) are of different kinds; RETRY_EXC_ERR at… (confidence high, run 2026-11-23T02-00-00Z-7f3a)'
END_OF_COMMANDS
}

kubernetes() {
    cat <<'END_OF_COMMANDS'
# Kubernetes
kubectl cordon node05
kubectl taint nodes node05 netprobe=rdma-failure:NoSchedule --overwrite
END_OF_COMMANDS
}

case "${1-all}" in
slurm) slurm ;;
kubernetes) kubernetes ;;
all)
    slurm
    kubernetes
    ;;
*)
    echo 'usage: sh drain.sh [slurm|kubernetes]' >&2
    exit 2
    ;;
esac
