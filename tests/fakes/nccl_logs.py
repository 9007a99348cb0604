"""Lines as NCCL prints them, of made-up hosts; the formats are those of NVIDIA/nccl 2.10 to 2.29."""

VERSION = "NCCL version 2.21.5+cuda12.4"
WITHOUT_DRIVER = """\
vm:10547:10547 [0] NCCL INFO ENV/Plugin: Could not find: libnccl-env.so
vm:10547:10547 [0] NCCL INFO Bootstrap: Using eth0:192.0.2.2<0>

[2026-11-28 15:25:41] vm:10547:10547 [0] misc/cudawrap.cc:329 (initOnceFunc) NCCL WARN Cuda failure 'CUDA driver \
version is insufficient for CUDA runtime version'
vm:10547:10550 [0] NCCL INFO Socket handshake magic 0x564ab9f2fc4b9d6c (built-in default)
"""
"""What NCCL 2.32.3 printed on a machine without a GPU; recorded."""


def tuning(host, size_bytes, rank=0):
    """Return the line of one all-reduce that is put onto a stream (NCCL_DEBUG_SUBSYS=TUNING, from 2.24 on)."""
    return (
        f"{host}:{100 + rank}:{200 + rank} [0] NCCL INFO AllReduce: {size_bytes} Bytes -> Algo RING proto "
        f"{'LL' if size_bytes < 8192 else 'SIMPLE'} channel{{Lo..Hi}}={{0..1}}\n"
    )


def rank_log(host, rank=0, *, ranks=2, network="IB", ports=("mlx5_0", "mlx5_1"), suffix="/GDRDMA", gpu="18000"):
    """Return the log of one process whose two channels receive by the devices 0 and 1."""
    own = f"{host}:{100 + rank}:{200 + rank} [0] NCCL INFO"
    listed = " ".join(f"[{index}]{name}:1/RoCE" for index, name in enumerate(ports))
    found = f"NET/IB : Using {listed} [RO]; OOB eth0:192.0.2.1<0>" if ports else "NET/IB : No device found."
    peer = (rank + 1) % ranks
    return "\n".join(
        [
            f"{own} {found}",
            f"{own} Using network {network}",
            f"{own} ncclCommInitRank comm 0x564531f27c80 rank {rank} nranks {ranks} cudaDev 0 nvmlDev 0 busId {gpu} "
            "commId 0x9ca74fa6e40df7f4 - Init COMPLETE",
            *(
                f"{own} Channel {channel:02}/0 : {peer}[0] -> {rank}[0] [receive] via NET/{network}/{channel}{suffix}"
                for channel in range(2)
            ),
            "",
        ]
    )
