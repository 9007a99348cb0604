#!/bin/sh
# netprobe run 2026-11-23T02-00-00Z-7f3a, 2026-11-23T02:00:00.000Z: INCONCLUSIVE
# blamed by findings that block: no host
# not drained: not tested, or without a verdict: neither healthy nor to blame: node[01-08]
#
# This prints commands and runs none. Read them; then, for example:
#   sh drain.sh slurm | sh
set -eu

slurm() {
    cat <<'END_OF_COMMANDS'
# Slurm
END_OF_COMMANDS
}

kubernetes() {
    cat <<'END_OF_COMMANDS'
# Kubernetes
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
