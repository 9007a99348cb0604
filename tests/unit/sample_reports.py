"""Six reports as a judge would make them; reports/samples holds what each reporter makes of them."""

from dataclasses import replace

from netprobe.model.collective import SHAPES
from netprobe.model.endpoint import Calibration
from netprobe.model.evidence import Coverage
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.plan import DTYPE_BYTES, Memory, Path, Scope
from netprobe.model.rdma import Operation
from netprobe.model.report import REPORT_FORMAT, EndpointSummary, GroupSummary, LayerSummary, PairSummary, Report
from netprobe.model.run import Launch, RunStatus
from netprobe.model.verdict import Verdict
from netprobe.units import gbps, gigabytes_per_s

KIB = 1 << 10
MIB = 1 << 20
SEND, WRITE = Operation.SEND, Operation.WRITE
US = 1_000
S = 1_000_000_000
UCX = "Open MPI v5.0.5, UCX 1.17.0"

NO_EXPECTATION = Gap(
    topic="expectation",
    reason="absolute rates were not judged: nobody said what to expect",
    remedy="expected_bandwidth_gbps in --limits",
)


def nodes(*numbers):
    return tuple(f"node{number:02d}" for number in numbers)


def latency(scope, size_bytes, typical_us, p99_us, max_us, *, pairs=1, samples=20_000, worst=None):
    return PairSummary(
        probe="latency",
        scope=scope,
        size_bytes=size_bytes,
        window=1,
        pairs=pairs,
        samples=samples,
        typical_ns=typical_us * US,
        p99_ns=None if p99_us is None else p99_us * US,
        max_ns=max_us * US,
        typical_gbps=None,
        typical_messages_per_s=None,
        worst_pair=worst[:2] if worst else None,
        worst_ns=worst[2] * US if worst else None,
        worst_gbps=None,
        mean_ns=typical_us * 1.02 * US,
        min_ns=typical_us * 0.9 * US,
    )


def streaming(probe, scope, size_bytes, window_us, *, window=32, pairs=1, samples=400, worst=None):
    ways = 2 if probe == "bidirectional" else 1
    window_ns = window_us * US
    moved_bytes = ways * window * size_bytes
    return PairSummary(
        probe=probe,
        scope=scope,
        size_bytes=size_bytes,
        window=window,
        pairs=pairs,
        samples=samples,
        typical_ns=window_ns,
        p99_ns=window_ns * 1.031,
        max_ns=window_ns * 1.4,
        typical_gbps=gbps(moved_bytes, window_ns),
        typical_messages_per_s=ways * window * S / window_ns,
        worst_pair=worst[:2] if worst else None,
        worst_ns=worst[2] * US if worst else None,
        worst_gbps=gbps(moved_bytes, worst[2] * US) if worst else None,
        mean_ns=window_ns * 1.004,
        min_ns=window_ns * 0.97,
    )


def collective(probe, size_bytes, mean_us, ranks, *, dtype="float32", in_place=False, wrong_bytes=0, **changes):
    shape = SHAPES[probe]
    has_bandwidth = probe != "barrier" and ranks > 1
    algbw = gigabytes_per_s(size_bytes, mean_us * US) if has_bandwidth else None
    row = GroupSummary(
        probe=probe,
        size_bytes=0 if probe == "barrier" else size_bytes,
        count=0 if probe == "barrier" else size_bytes // DTYPE_BYTES[dtype],
        dtype=dtype,
        op="sum" if shape.reduces else None,
        root=0 if shape.rooted else None,
        in_place=in_place,
        ranks=ranks,
        iterations=400,
        time_ns=mean_us * US,
        p50_ns=mean_us * 0.98 * US,
        p99_ns=mean_us * 1.3 * US,
        max_ns=mean_us * 2.2 * US,
        algbw_gigabytes_per_s=algbw,
        busbw_gigabytes_per_s=None if algbw is None else algbw * shape.busbw_factor(ranks),
        wrong_bytes=None if probe == "barrier" else wrong_bytes,
    )
    return replace(row, **changes)


def report(hosts, *, ranks_per_host=1, **changes):
    rank_hosts = tuple(host for host in hosts for _ in range(ranks_per_host))
    stages = ("latency-between-hosts", "bandwidth-between-hosts", "bidirectional-between-hosts", "allreduce", "barrier")
    pairs = 6 * len(hosts)
    fields = {
        "format": REPORT_FORMAT,
        "run_id": "2026-11-23T02-00-00Z-7f3a",
        "netprobe": "0.1.0",
        "started": "2026-11-23T02:00:00.000Z",
        "elapsed_ns": 108 * S,
        "verdict": Verdict.HEALTHY,
        "profile": "pretrain",
        "transport": "mpi",
        "launch": Launch(method="slurm", argv=("srun", "--ntasks", str(len(rank_hosts))), mpi=UCX),
        "run_status": RunStatus.COMPLETE,
        "hosts": hosts,
        "ranks": len(rank_hosts),
        "rank_hosts": rank_hosts,
        "rank_pids": tuple(21_000 + rank for rank in range(len(rank_hosts))),
        "findings": (),
        "gaps": (),
        "not_tested": (Gap(topic="gpu", reason="no CUDA driver on any host, so buffers lay in host memory"),),
        "coverage": Coverage(
            ranks=len(rank_hosts),
            hosts=len(hosts),
            stages_planned=stages,
            stages_finished=stages,
            pairs_planned=pairs,
            pairs_measured=pairs,
            untested_ranks=(),
            bytes_moved=2_930_000_000_000,
            checked_iterations=2_112,
        ),
        "healthy_hosts": hosts,
        "pairs": (),
        "groups": (),
        "calibration": Calibration(clock_read_ns=24.6, empty_iteration_ns=27.9),
        "clock_error_bound_ns": 1_140.0,
    }
    fields |= changes
    return Report(**fields, exit_code=int(fields["verdict"].exit_code))


def healthy_laptop():
    within = Scope.WITHIN_HOST
    stages = ("latency-within-host", "bandwidth-within-host", "bidirectional-within-host", "allreduce", "barrier")
    return report(
        ("thinkpad",),
        ranks_per_host=2,
        elapsed_ns=int(6.42 * S),
        profile="quick",
        launch=Launch(
            method="local", argv=("mpiexec", "-n", "2", "python", "-m", "netprobe.session"), mpi="MPICH 5.0.1"
        ),
        gaps=(
            Gap(topic="slow-link", reason="one host has nothing to be compared with", remedy="--hosts with 3 or more"),
            Gap(topic="slow-pair", reason="one host has nothing to be compared with", remedy="--hosts with 3 or more"),
        ),
        not_tested=(
            Gap(topic="between hosts", reason="all ranks are on one host", remedy="--hosts node[01-04]"),
            Gap(topic="rdma", reason="this host has no RDMA device"),
            Gap(topic="gpu", reason="this host has no CUDA driver"),
        ),
        coverage=Coverage(
            ranks=2,
            hosts=1,
            stages_planned=stages,
            stages_finished=stages,
            pairs_planned=2,
            pairs_measured=2,
            untested_ranks=(),
            bytes_moved=3_410_000_000,
            checked_iterations=24,
        ),
        pairs=(
            latency(within, 8, 0.226, 0.262, 31.4, samples=80_000),
            latency(within, 4 * KIB, 0.91, 1.17, 44.0, samples=21_000),
            streaming("bandwidth", within, 8, 0.9, window=16),
            streaming("bandwidth", within, 64 * KIB, 94, window=16),
            streaming("bandwidth", within, 4 * MIB, 7_940, window=16, samples=40),
            streaming("bidirectional", within, 4 * MIB, 13_700, window=16, samples=12),
        ),
        groups=(
            collective("allreduce", 8, 0.61, 2, iterations=58_000),
            collective("allreduce", 64 * KIB, 24.8, 2, iterations=1_500),
            collective("allreduce", 4 * MIB, 2_310, 2, iterations=17, p99_ns=None),
            collective("barrier", 0, 0.33, 2, dtype="uint8", iterations=110_000),
        ),
        clock_error_bound_ns=210.0,
    )


def slow_link():
    hosts = nodes(*range(1, 65))
    between = Scope.BETWEEN_HOSTS
    return report(
        hosts,
        verdict=Verdict.FAULTY,
        findings=(
            Finding(
                detector="slow-pair",
                severity=Severity.DEGRADES,
                confidence=Confidence.MEDIUM,
                subjects=("node09 -> node52",),
                hosts=(),
                summary="8 MiB messages at 331 Gb/s, 14 % below what these two hosts reach with their other partners",
                facts=(
                    Fact(
                        metric="bandwidth, 8 MiB",
                        observed="331 Gb/s",
                        expected="at least 347 Gb/s",
                        basis="10 % below the 386 Gb/s that both hosts' effects predict",
                    ),
                ),
                excluded=("both hosts (387 and 386 Gb/s with others)", "the way back (385 Gb/s)"),
                next_action="look at the links between the leaves of node09 and node52 for errors and uneven hashing",
                retest="netprobe run bandwidth -b 8M -e 8M --hosts node09,node52",
            ),
            Finding(
                detector="slow-link",
                severity=Severity.BLOCKS,
                confidence=Confidence.HIGH,
                subjects=("node17",),
                hosts=("node17",),
                summary="sends at 143 Gb/s, 63 % below the fleet's median of 386 Gb/s, to all 3 of its partners",
                facts=(
                    Fact(
                        metric="sends, 8 MiB",
                        observed="143 Gb/s",
                        expected="at least 290 Gb/s",
                        basis="25 % below the median of 64 hosts blocks a job",
                    ),
                    Fact(
                        metric="sends, 64 KiB",
                        observed="139 Gb/s",
                        expected="at least 271 Gb/s",
                        basis="25 % below the median of 64 hosts blocks a job",
                    ),
                ),
                excluded=("receiving (384 Gb/s)", "partners (node08, node31 and node60 are at the median with others)"),
                next_action=(
                    "compare the PCIe width and speed of its NIC with a healthy host's (lspci -vv, LnkSta), then its "
                    "cable and port counters; keep it out of jobs until a retest is clean"
                ),
                retest="netprobe check --hosts node17,node02,node40",
            ),
        ),
        gaps=(
            Gap(
                topic="straggler",
                reason="node12 has 2 ranks and 1 CPU for them, so lateness there tells of the scheduler",
                remedy="one rank for each CPU",
            ),
            NO_EXPECTATION,
        ),
        healthy_hosts=tuple(host for host in hosts if host != "node17"),
        pairs=(
            latency(between, 8, 1.83, 2.14, 61.2, pairs=384, worst=("node17:0", "node31:0", 2.91)),
            latency(between, 4 * KIB, 2.94, 3.4, 66.0, pairs=384, worst=("node17:0", "node08:0", 4.6)),
            streaming("bandwidth", between, 8, 8.2, pairs=384, worst=("node17:0", "node31:0", 11.8)),
            streaming("bandwidth", between, 64 * KIB, 46.4, pairs=384, worst=("node17:0", "node08:0", 120.7)),
            streaming("bandwidth", between, 8 * MIB, 5_560, pairs=384, worst=("node17:0", "node60:0", 15_040)),
            streaming("bidirectional", between, 8 * MIB, 5_870, pairs=192, worst=("node17:0", "node60:0", 15_900)),
        ),
        groups=(
            collective("barrier", 0, 9.4, 64, dtype="uint8"),
            *(
                collective("allreduce", size, mean, 64, in_place=in_place)
                for size, mean in ((8, 14.1), (4 * KIB, 22.0), (2 * MIB, 311.0), (64 * MIB, 7_390.0))
                for in_place in (False, True)
            ),
            collective("allgather", 64 * MIB, 4_020.0, 64),
            collective("reducescatter", 64 * MIB, 4_310.0, 64),
        ),
    )


def inconclusive():
    hosts = nodes(*range(1, 9))
    whole = report(hosts).coverage
    return report(
        hosts,
        verdict=Verdict.INCONCLUSIVE,
        elapsed_ns=None,
        run_status=RunStatus.RUNNING,
        launch=Launch(method="hosts", argv=("mpirun", "--host", "node[01-08]"), mpi=UCX),
        gaps=(
            Gap(
                topic="coverage",
                reason="the run was killed in stage bandwidth-between-hosts; 4 of 5 stages are not finished",
                remedy="netprobe check again, with --budget if there was no time",
                undermines=True,
            ),
            *(
                Gap(topic=detector, reason="no finished stage measured bandwidth")
                for detector in ("slow-host", "slow-link", "slow-pair", "asymmetry")
            ),
        ),
        coverage=replace(
            whole, stages_finished=whole.stages_planned[:1], bytes_moved=41_800_000, checked_iterations=96
        ),
        healthy_hosts=(),
        pairs=(
            latency(Scope.BETWEEN_HOSTS, 8, 1.86, 2.2, 19.0, pairs=48, worst=("node02:0", "node07:0", 1.97)),
            latency(Scope.BETWEEN_HOSTS, 4 * KIB, 2.97, 3.5, 24.0, pairs=48, worst=("node05:0", "node01:0", 3.11)),
        ),
        clock_error_bound_ns=None,
    )


def corruption():
    hosts = nodes(*range(1, 17))
    return report(
        hosts,
        ranks_per_host=2,
        verdict=Verdict.FAULTY,
        findings=(
            Finding(
                detector="corruption",
                severity=Severity.BLOCKS,
                confidence=Confidence.HIGH,
                subjects=("node05",),
                hosts=("node05",),
                summary="3 messages arrived with wrong bytes, from 3 different hosts; 5 bytes in all, always bit 4",
                facts=(
                    Fact(
                        metric="bandwidth, 8 MiB, iteration 0",
                        observed="node02:2 to node05:8, 3 wrong bytes from offset 4,202,508, mask 0x0000000010000000",
                        expected="0 wrong bytes",
                        basis="each message is compared with the pattern that was sent",
                    ),
                    Fact(
                        metric="allreduce, 64 MiB, iteration 0",
                        observed="2 wrong bytes on rank 8 from offset 1,048,588, mask 0x0000000010000000",
                        expected="0 wrong bytes",
                        basis="sums of small integers are exact in float32",
                    ),
                ),
                excluded=("the senders (their messages to other hosts are right)",),
                next_action="drain node05 and test its memory and NIC; one bit points at a data line or a DIMM",
                retest="netprobe run bandwidth -b 8M -e 8M -c 50 --all-pairs --hosts node05,node02,node11",
            ),
        ),
        gaps=(NO_EXPECTATION,),
        healthy_hosts=tuple(host for host in hosts if host != "node05"),
        pairs=(
            latency(Scope.WITHIN_HOST, 8, 0.31, 0.39, 14.0, pairs=16, worst=("node11:20", "node11:21", 0.33)),
            latency(Scope.BETWEEN_HOSTS, 8, 1.84, 2.15, 40.1, pairs=96, worst=("node03:4", "node14:26", 1.99)),
            streaming("bandwidth", Scope.BETWEEN_HOSTS, 8 * MIB, 5570, pairs=96, worst=("node03:4", "node09:16", 5720)),
        ),
        groups=(
            collective("allreduce", 64 * MIB, 7_020.0, 32, wrong_bytes=2),
            collective("allreduce", 64 * MIB, 7_010.0, 32, in_place=True),
            collective("broadcast", 64 * MIB, 6_100.0, 32, dtype="uint8"),
        ),
    )


def over_rdma(row, operation):
    return replace(row, path=Path.VERBS, operation=operation)


def endpoint(number, host, **changes):
    fields = {
        "rank": number,
        "host": host,
        "device": "mlx5_0",
        "netdev": "eth0",
        "gid_kind": "RoCE v2",
        "gid_index": 3,
        "gid": f"0000:0000:0000:0000:0000:ffff:0a01:{number + 1:04x}",
        "mtu_bytes": 4096,
        "why": "",
    }
    return EndpointSummary(**{**fields, **changes})


def rdma_failure():
    hosts = nodes(*range(1, 9))
    stages = ("latency-between-hosts", "bandwidth-between-hosts", "rdma-latency-between-hosts",
              "rdma-bandwidth-between-hosts", "barrier")  # fmt: skip
    between = Scope.BETWEEN_HOSTS
    return report(
        hosts,
        verdict=Verdict.FAULTY,
        launch=Launch(method="hosts", argv=("mpirun", "--host", "node[01-08]"), mpi=UCX),
        findings=(
            Finding(
                detector="rdma-failure",
                severity=Severity.BLOCKS,
                confidence=Confidence.HIGH,
                subjects=("node05",),
                hosts=("node05",),
                summary=(
                    "cannot use RDMA with 3 of 3 partners (node01, node04, node08): their addresses (GIDs) are of "
                    "different kinds; RETRY_EXC_ERR at the first message, no acknowledgement ever came"
                ),
                facts=(
                    Fact(
                        metric="node05 mlx5_0, GID 0",
                        observed="IB/RoCE v1",
                        expected="the same",
                        basis="their addresses (GIDs) are of different kinds",
                    ),
                    Fact(
                        metric="RDMA latency 8 B, node05:4 <-> node01:0, first message",
                        observed="RETRY_EXC_ERR, vendor error 0x81 (no acknowledgement)",
                        expected="no failure",
                        basis="ibv_poll_cq on node05:4",
                    ),
                ),
                excluded=(
                    "its partners (node01, node04, node08 work with others)",
                    "a host that is gone (MPI works on all of these)",
                ),
                next_action=(
                    "show_gids at both ends: each has to use an entry of RoCE v2; if it stays: ping between the two "
                    "interfaces with their own source (ping -I), then ip neigh, show_gids at both ends, and filters on "
                    "the way for UDP port 4791"
                ),
                retest="netprobe run latency --transport verbs --hosts node05,node01,node04",
            ),
        ),
        gaps=(NO_EXPECTATION,),
        coverage=Coverage(
            ranks=8,
            hosts=8,
            stages_planned=stages,
            stages_finished=stages,
            pairs_planned=72,
            pairs_measured=63,
            untested_ranks=(),
            bytes_moved=88_000_000_000,
            checked_iterations=212,
            pairs_failed=9,
        ),
        healthy_hosts=tuple(host for host in hosts if host != "node05"),
        pairs=(
            latency(between, 8, 14.8, 21.5, 240.0, pairs=12, worst=("node03:2", "node06:5", 15.9)),
            streaming("bandwidth", between, 8 * MIB, 42_700, pairs=24, worst=("node03:2", "node06:5", 43_900)),
            over_rdma(latency(between, 8, 1.84, 2.15, 40.1, pairs=9, worst=("node03:2", "node06:5", 1.99)), SEND),
            over_rdma(latency(between, 4 * KIB, 2.97, 3.5, 24.0, pairs=9), SEND),
            over_rdma(streaming("bandwidth", between, 64 * KIB, 45.1, pairs=18), WRITE),
            over_rdma(
                streaming("bandwidth", between, 8 * MIB, 5570, pairs=18, worst=("node03:2", "node06:5", 5720)), WRITE
            ),
        ),
        groups=(collective("barrier", 0, 31.0, 8, dtype="uint8"),),
        endpoints=tuple(
            endpoint(number, host, gid_kind="IB/RoCE v1", gid_index=0, why="as wished")
            if host == "node05"
            else endpoint(number, host, why="RoCE v2 with an IPv4 address")
            for number, host in enumerate(hosts)
        ),
    )


GPU = (Memory.DEVICE, Memory.DEVICE)
MEMORIES = (Memory.HOST, Memory.HOST)


def layer(probe, path, figure, ratio, *, memories=MEMORIES, of=None, size_bytes=8 * MIB, pairs=24):
    of_path, of_memories = of or (None, (None, None))
    is_latency = probe == "latency"
    return LayerSummary(
        probe=probe,
        path=path,
        send_memory=memories[0],
        receive_memory=memories[1],
        size_bytes=size_bytes,
        pairs=pairs,
        typical_gbps=None if is_latency else figure,
        typical_ns=figure * US if is_latency else None,
        ratio=ratio,
        of_path=of_path,
        of_send_memory=of_memories[0],
        of_receive_memory=of_memories[1],
    )


def layer_gap():
    hosts = nodes(*range(1, 9))
    between = Scope.BETWEEN_HOSTS
    of_host, of_gpu = (Path.VERBS, MEMORIES), (Path.VERBS, GPU)
    from_gpu, into_gpu = (Memory.DEVICE, Memory.HOST), (Memory.HOST, Memory.DEVICE)
    return report(
        hosts,
        verdict=Verdict.DEGRADED,
        findings=(
            Finding(
                detector="layer-gap",
                severity=Severity.DEGRADES,
                confidence=Confidence.HIGH,
                subjects=("fabric",),
                hosts=(),
                summary="NCCL keeps 52 % of the rate of verbs on the same pairs: 201 Gb/s of 388 Gb/s (GPU memory, "
                "8M), on 12 of 12 pairs of hosts",
                facts=(
                    Fact(
                        metric="NCCL bandwidth 8M, GPU memory",
                        observed="201 Gb/s (52 %)",
                        expected="at least 291 Gb/s",
                        basis="75 % of verbs, 8M; median of 24 pairs of ranks",
                    ),
                ),
                excluded=("links and NICs (388 Gb/s over verbs on these pairs, in the same memory)",),
                next_action=(
                    "a setting or a build that all hosts share: NCCL_DEBUG=INFO tells what it took: NET/IB or "
                    "NET/Socket, GDRDMA or not, which devices; then NCCL_IB_HCA, NCCL_IB_QPS_PER_CONNECTION (one queue "
                    "pair does not fill every NIC) and NCCL_NET_GDR_LEVEL"
                ),
                retest="netprobe check",
            ),
        ),
        gaps=(NO_EXPECTATION,),
        not_tested=(),
        pairs=(
            streaming("bandwidth", between, 8 * MIB, 5_790, pairs=24, worst=("node03:2", "node06:5", 5_900)),
            over_rdma(
                streaming("bandwidth", between, 8 * MIB, 5_480, pairs=24, worst=("node03:2", "node06:5", 5_520)), WRITE
            ),
        ),
        groups=(collective("barrier", 0, 31.0, 8, dtype="uint8"),),
        layers=(
            layer("bandwidth", Path.VERBS, 392.0, None),
            layer("bandwidth", Path.VERBS, 388.0, 0.990, memories=GPU, of=of_host),
            layer("bandwidth", Path.VERBS, 389.0, 0.992, memories=into_gpu, of=of_host),
            layer("bandwidth", Path.VERBS, 388.0, 0.990, memories=from_gpu, of=of_host),
            layer("bandwidth", Path.MPI, 371.0, 0.946, of=of_host),
            layer("bandwidth", Path.MPI, 189.0, 0.487, memories=GPU, of=of_gpu, size_bytes=4 * MIB),
            layer("bandwidth", Path.NCCL, 201.0, 0.518, memories=GPU, of=of_gpu),
            layer("latency", Path.VERBS, 1.84, None, size_bytes=8, pairs=12),
            layer("latency", Path.MPI, 2.41, 0.763, of=of_host, size_bytes=8, pairs=12),
        ),
    )


SAMPLES = {
    "layer-gap": layer_gap,
    "healthy-laptop": healthy_laptop,
    "slow-link": slow_link,
    "inconclusive": inconclusive,
    "corruption": corruption,
    "rdma-failure": rdma_failure,
}
