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
scontrol update nodename=node05 state=drain 'reason=netprobe: corruption: 3 messages arrived with wrong bytes, from 3 different hosts; 5 bytes in all, always bit 4 (confidence high, run 2026-11-23T02-00-00Z-7f3a)'
END_OF_COMMANDS
}

kubernetes() {
    cat <<'END_OF_COMMANDS'
# Kubernetes
kubectl cordon node05
kubectl taint nodes node05 netprobe=corruption:NoSchedule --overwrite
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
