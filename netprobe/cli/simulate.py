"""``netprobe simulate``: a run directory of a fabric that does not exist, with the faults that were asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netprobe.cli.streams import print_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What to simulate, as it was asked for."""

    topology: Path | None
    nics: int
    faults: Sequence[Path]
    seed: int
    profile: str
    line_gbps: float
    out: Path


def simulate(wanted: Simulation) -> int:
    """Play the profile, write the run and the truth beside it, and say where they are."""
    from netprobe.launch.topology import read_topology
    from netprobe.model.topology import Topology
    from netprobe.plan.profiles import plan_for
    from netprobe.sim.fabric import default_topology, fabric_of
    from netprobe.sim.faults import read_faults
    from netprobe.sim.night import night
    from netprobe.sim.truth import TRUTH_FORMAT, Truth, write_truth
    from netprobe.store.whole import write_whole

    told = None if wanted.topology is None else Topology(leaves=read_topology(wanted.topology))
    fabric = fabric_of(told or default_topology(wanted.nics), wanted.line_gbps)
    files = [read_faults(path) for path in wanted.faults]
    run, injected = night(fabric, files, plan_for(wanted.profile), wanted.seed)
    directory = write_whole(run, wanted.out)
    truth = Truth(
        format=TRUTH_FORMAT, run=run.header.id, seed=wanted.seed, nics=fabric.nics, injected=injected
    )  # fmt: skip
    beside = write_truth(wanted.out, truth)
    print_text(f"{directory}\n{beside}: what is wrong there; netprobe judge does not read it\n")
    return 0
