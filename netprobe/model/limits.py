"""Every limit a verdict depends on, with its unit and the reason for its value; a site overrides them in TOML."""

from dataclasses import dataclass, field


def _limit(default: float, unit: str, reason: str) -> float:
    declared: float = field(default=default, metadata={"unit": unit, "reason": reason})
    return declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The shipped defaults; read ``netprobe explain DETECTOR`` for what each one decides."""

    expected_bandwidth_gbps: float = _limit(
        0.0, "Gb/s", "what one pair of ranks between hosts reaches one way at its best; 0: no expectation"
    )
    expected_latency_ns: float = _limit(
        0.0, "ns", "half a round trip of the smallest message between hosts; 0: no expectation"
    )
    line_rate_ratio: float = _limit(
        0.4,
        "ratio",
        "of the rate of its ports that RDMA reaches; one queue pair reaches 0.7 at 400 Gb/s, a bond of two 0.5",
    )
    layer_ratio: float = _limit(
        0.75,
        "ratio",
        "of what the layer below carries; NCCL keeps 0.92-0.96 of a NIC and MPI over UCX 0.9, sockets or staging halve",
    )
    gpudirect_ratio: float = _limit(
        0.8,
        "ratio",
        "of host memory's rate; healthy GPUs keep 0.97 (380 of 390 Gb/s), 0.48 across CPUs, 0.4 without GPUDirect",
    )
    pair_loss_ratio: float = _limit(
        0.10, "ratio", "a pair this far below what its two hosts do with others; p2p gates of the field sit at 5-10 %"
    )
    host_loss_ratio: float = _limit(
        0.05, "ratio", "a host this far below the fleet's median; SuperBench, CVS and cloud gates use 5 %"
    )
    host_block_ratio: float = _limit(
        0.25, "ratio", "a host that loses a quarter of its bandwidth sets the pace of the whole job"
    )
    latency_excess_ratio: float = _limit(
        0.30, "ratio", "small-message latency above the fleet's median; switch hops differ by less within a class"
    )
    latency_excess_floor_ns: float = _limit(500.0, "ns", "one switch hop costs about as much, and no job notices less")
    distance_excess_ratio: float = _limit(
        1.0, "ratio", "latency above the fleet's that distance can explain; near and far hosts differ by less than this"
    )
    asymmetry_ratio: float = _limit(
        0.10, "ratio", "the two directions of one pair use the same hosts and cables; healthy ones agree within 3 %"
    )
    outlier_mads: float = _limit(
        5.0, "MADs", "robust z-score; with 1,024 hosts a normal fleet exceeds 5 scaled MADs once in a thousand runs"
    )
    jitter_tail_ratio: float = _limit(
        3.0, "ratio", "p99 over median; a healthy lossless fabric stays below 1.5 idle, so 3 is no accident"
    )
    jitter_peer_ratio: float = _limit(
        3.0, "ratio", "a pair's p99 over the median p99 of its peers; what all share is not this pair's fault"
    )
    jitter_floor_ns: float = _limit(
        20_000.0, "ns", "a tail shorter than one timer interrupt is the host's, not the fabric's"
    )
    jitter_chance: float = _limit(
        1e-6, "probability", "of a beat, or of moments that pairs share, by chance; a night asks a few hundred times"
    )
    jitter_mode_ratio: float = _limit(
        1.25, "ratio", "of the slower of two speeds over the faster; a switch more on the way is less on most fabrics"
    )
    jitter_mode_floor_ns: float = _limit(
        500.0, "ns", "between two speeds; a switch more on the way, there and back, is as much"
    )
    jitter_drift_ratio: float = _limit(
        1.15, "ratio", "of the last quarter's median over the first's, each slower; by chance medians move by 3 %"
    )
    straggler_share_ratio: float = _limit(
        0.20, "ratio", "a rank's median lateness as a share of the collective it delays"
    )
    straggler_floor_ns: float = _limit(20_000.0, "ns", "lateness below this hides in the launch cost of any kernel")
    step_stall_ratio: float = _limit(
        2.0, "ratio", "a step against the median of all; those of a healthy job keep within 10 %"
    )
    step_stall_floor_ns: float = _limit(
        50_000_000.0, "ns", "shorter than any timer of a lost packet (67 ms RoCE, 200 ms TCP), longer than time slices"
    )
    step_stall_share_ratio: float = _limit(
        0.01, "ratio", "of the time of all steps that is lost to stalls; one of 0.3 s in 20 minutes costs nothing"
    )
    step_drift_ratio: float = _limit(
        0.05, "ratio", "of a median step, that steps or a rank's lateness grow by; jobs notice what hosts lose at 5 %"
    )
    step_drift_floor_ns: float = _limit(
        1_000_000.0, "ns", "growth of a median below this is the scheduler's or the clock's, whatever the step takes"
    )
    hop_excess_ratio: float = _limit(
        0.50,
        "ratio",
        "what a hop of a ring takes above the others of its kind; a ring moves at the pace of its slowest",
    )
    hop_share_ratio: float = _limit(
        0.10,
        "ratio",
        "of the all-reduce that a hop takes more than others do; below, the ring waits for something else",
    )
    coverage_ratio: float = _limit(1.0, "ratio", "a verdict on part of what was planned would be green by accident")
    loss_ratio: float = _limit(
        1e-4, "ratio", "costs 1.2 % at 400 Gb/s and 10 µs; shared Ethernet loses up to that daily (Pingmesh, 2015)"
    )
    loss_floor_segments: float = _limit(
        3.0, "segments", "of one direction of a pair; one or two are a hiccup anywhere on the host, not of this path"
    )
    loss_block_ratio: float = _limit(
        1e-3, "ratio", "one TCP stream then falls to a few Gb/s at 100 µs (Mathis 1997): no job runs with that"
    )
    loss_stall_ratio: float = _limit(
        0.10, "ratio", "rounds with a retransmission timeout (200 ms and more) of a pair; every such step stops the job"
    )
    noise_throttled_ratio: float = _limit(
        0.02, "ratio", "time a rank is stopped by its own CPU quota; any is a mistake, and this is beyond start-up"
    )
    noise_steal_ratio: float = _limit(
        0.05, "ratio", "busy time that the hypervisor gives to others; a host for jobs has its CPUs to itself"
    )
    noise_wait_ratio: float = _limit(
        0.05, "ratio", "time a rank waits for its CPU; with a core of its own it waits below 0.1 %"
    )
    noise_detour_ratio: float = _limit(
        0.01,
        "ratio",
        "of its time that a rank which only computes loses to others; Linux takes 0.1 %, and 1 to 2 % on each node "
        "halved a job of 4,096 CPUs (Petrini, Kerbyson, Pakin, SC2003)",
    )
    noise_peer_ratio: float = _limit(
        5.0, "ratio", "waiting or steal against the median host's; what all share belongs to how the job is placed"
    )
    noise_block_ratio: float = _limit(
        0.50, "ratio", "a rank that is stopped for half of the time halves the pace of all"
    )
    physical_error_floor: float = _limit(
        1.0, "errors", "damaged packets or uncorrectable blocks of a port in a run; a healthy link has none in hours"
    )
    corrected_bit_ratio: float = _limit(
        1e-5, "ratio", "bits that FEC had to correct; typical are 1e-8 to 1e-6, and at 2.4e-4 RS-544 fails (IEEE 802.3)"
    )
    corrected_peer_ratio: float = _limit(
        10.0, "ratio", "corrected bits against the median port of the same rate; optics of one kind stay within a few"
    )
    corrected_floor_ratio: float = _limit(
        1e-7, "ratio", "corrected bits that are not compared below this: operators of large fleets ignore less"
    )
    link_down_floor: float = _limit(
        1.0, "events", "of one port in a run; a link that goes down in a minute of testing will do so in any job"
    )
    reorder_ratio: float = _limit(
        1e-4, "ratio", "packets that overtook others and were asked for again; each costs RoCE a window (go-back-N)"
    )
    rnr_nak_floor: float = _limit(
        10.0, "NAKs", "of one receiver in a run; a few come from connections that are just being made"
    )
    pause_share_ratio: float = _limit(
        0.01, "ratio", "of the time under load; no authority names one. 21.7 % held a 400 Gb/s port at 308 Gb/s"
    )
    pause_block_ratio: float = _limit(
        0.10, "ratio", "of the time under load that a host stops others; its leaf passes that on to all of them"
    )
    pause_idle_ratio: float = _limit(
        0.001,
        "ratio",
        "of an idle time of 2 s; a host that receives nothing has nothing to stop, so this is 2 ms of it",
    )
    misplaced_ratio: float = _limit(
        0.10, "ratio", "of a port's bytes outside the lossless priorities; management and storage move less in a test"
    )
    rdma_loss_ratio: float = _limit(
        1e-6,
        "ratio",
        "packets of RDMA: a fabric without loss has none, and most NICs send a whole window again for one",
    )
    memlock_floor_bytes: float = _limit(
        64.0 * (1 << 20), "bytes", "a process registers this much at start; the default of 64 KiB fails at the first"
    )
    nccl_staged_ratio: float = _limit(
        0.10, "ratio", "of NCCL's connections to other hosts that go through host memory; where GPUDirect works, none"
    )
    wrong_port_ratio: float = _limit(
        0.10, "ratio", "of a host's RDMA bytes on ports slower than its fast ones; storage moves less during a test"
    )
    foreign_traffic_ratio: float = _limit(
        0.02, "ratio", "of a port's rate while nothing is measured; more of it moves what is measured by as much"
    )
    guessed_floor: float = _limit(
        10.0, "events", "of a counter whose meaning is guessed from its name: a few of anything happen at any start"
    )
    trouble_floor: float = _limit(
        10.0, "events", "of a known counter that is 0 on healthy hosts, if one of them does not end a job"
    )
    ecn_mark_floor: float = _limit(
        100.0, "packets", "marked at a port that answers none, or notifications unheeded; answers are rate-limited"
    )
    congestion_ratio: float = _limit(
        10.0,
        "ratio",
        "p99 of a round trip beside load over that alone; GPCNeT's factor is near 1 where congestion control isolates "
        "flows, and beyond 10 where it does not",
    )
    congestion_floor_ns: float = _limit(
        20_000.0, "ns", "what load adds to a p99 that nobody minds: a queue of a megabyte at 400 Gb/s"
    )
    load_drift_ratio: float = _limit(
        2.0, "ratio", "p99 alone after load over that before, either way: beyond, something else changed meanwhile"
    )
    incast_goodput_ratio: float = _limit(
        0.75,
        "ratio",
        "of the most that fewer senders bring a receiver, that many bring it; a lossless fabric keeps the port full",
    )
    incast_fairness_ratio: float = _limit(
        0.7, "ratio", "Jain's index over the senders of an incast; 0.7 is a third of them with next to nothing"
    )
    victim_loss_ratio: float = _limit(
        0.25, "ratio", "of its rate that a flow loses while a receiver it does not send to is hot; it should lose none"
    )
    rails_kept_ratio: float = _limit(
        0.85,
        "ratio",
        "of what rails of two hosts carry one by one, that they carry all at once; with a PCIe link each that is all",
    )
    storage_lost_ratio: float = _limit(
        0.25,
        "ratio",
        "of its rate that an all-reduce loses beside reads, or reads beside it, beyond what a shared port explains",
    )
    gpu_held_ratio: float = _limit(
        0.05, "ratio", "of a stage that heat or a power brake holds a GPU's clock down; a healthy one never is"
    )
    gpu_block_ratio: float = _limit(
        0.10, "ratio", "of a GPU's clock that is lost over a stage: all others wait for a GPU that is so much slower"
    )
    nvlink_crc_per_s: float = _limit(
        100.0, "errors/s", "of one GPU over all its links; below that they do not matter, as DCGM's health check has it"
    )
    nvlink_retry_floor: float = _limit(
        1.0, "events", "replays and recoveries of one GPU in a run; DCGM's health check fails from the first on"
    )
    nvlink_block_ratio: float = _limit(
        0.25, "ratio", "of its NVLinks that a GPU lacks: it then sets the pace of all within its host"
    )
    copy_ratio: float = _limit(
        0.6,
        "ratio",
        "of what a GPU's PCIe link, its NVLinks or its memory carry that its copies reach; chosen so that pinned "
        "memory of the other socket is no fault, and measured on none",
    )
    pcie_replays_per_minute: float = _limit(
        8.0, "replays/minute", "of a GPU's PCIe link in a stage; the most that DCGM's health check lets pass"
    )
    own_nights: float = _limit(
        14.0, "nights", "whose median is a NIC's own level: two weeks, so that no weekday is missed"
    )
    fewest_nights: float = _limit(
        7.0, "nights", "of these that must be known: of fewer, two bad ones would be the level"
    )
    regression_ratio: float = _limit(
        0.05, "ratio", "below its own level; gates of the field (SuperBench, CVS) fail 5 % below a baseline"
    )
    drift_nights: float = _limit(
        30.0, "nights", "over which slow change is looked for, and over three times as many where they are known"
    )
    drift_ratio: float = _limit(
        0.03, "ratio", "lost in that time: an optic that loses so much in a month is replaced in a maintenance window"
    )
    drift_sigmas: float = _limit(
        4.0, "sigmas", "of Mann and Kendall's test; 4,000 figures of a fleet exceed 4 by chance in one night of eight"
    )
    sticky_nights: float = _limit(
        14.0,
        "nights",
        "that a finding stays open after it was last seen: a link that flaps comes back within a week or two",
    )
    recurring_nights: float = _limit(
        3.0,
        "nights",
        "of the open time in which a finding was seen, from which on it degrades although it is gone tonight",
    )
