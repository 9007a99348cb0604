#!/bin/sh
# netprobe run 2026-11-23T02-00-00Z-7f3a, 2026-11-23T02:00:00.000Z: FAULTY
# blamed by findings that block: node17
#
# This prints commands and runs none. Read them; then, for example:
#   sh drain.sh slurm | sh
set -eu

slurm() {
    cat <<'END_OF_COMMANDS'
# Slurm
scontrol update nodename=node17 state=drain 'reason=netprobe: slow-link: sends at 143 Gb/s, 63 % below the fleet'"'"'s median of 386 Gb/s, to all 3 of its partners (confidence high, run 2026-11-23T02-00-00Z-7f3a)'
END_OF_COMMANDS
}

kubernetes() {
    cat <<'END_OF_COMMANDS'
# Kubernetes
kubectl cordon node17
kubectl taint nodes node17 netprobe=slow-link:NoSchedule --overwrite
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
