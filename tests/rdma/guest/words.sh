# shellcheck shell=sh
# What the scenarios have in common; they run on the login host.
host() { /run/rdma-lab/host "$@"; }
fault() { /run/rdma-lab/fault "$@"; }

at_port() { # HOST COMMAND…: in the port of its device in /sys
    where=$1
    shift
    host "$where" sh -c 'cd /sys/class/infiniband/rxe0/ports/1 && exec "$@"' - "$@"
}

counters() { # FILE HOST
    at_port "$2" grep -r . hw_counters | sed 's,.*/,,' > "$1"
}

state() { # HOST
    at_port "$1" cat state
}

await() { # COMMAND…: until it succeeds, for some seconds
    for _ in $(seq 100); do
        if "$@"; then return; fi
        sleep 0.1
    done
    echo "in vain: $*"
    return 1
}

is_in_state() { # HOST STATE
    state "$1" | grep -q "$2"
}

listens() { # HOST PORT
    host "$1" ss -Hltn "sport = :$2" | grep -q .
}

send() { # FROM TO MESSAGES: of 64 KiB, from a host to another, over their RDMA devices
    host "$2" timeout 60 ib_send_bw -d rxe0 -x 1 -F -s 65536 -n "$3" > server 2>&1 &
    await listens "$2" 18515
    host "$1" timeout 60 ib_send_bw -d rxe0 -x 1 -F -s 65536 -n "$3" "$2"
    wait $!
}

reaches() { # FROM TO BYTES: by a ping of three packets
    host "$1" busybox ping -q -c 3 -W 2 -s "$3" "10.1.0.${2#h}"
}
