"""Every rank sends a different share to every other: expert routing, and the hardest pattern for a fabric."""

from netprobe.contracts import Probe
from netprobe.model.plan import Scope
from netprobe.probes._group import measure_group

PROBE = Probe(
    id="alltoall",
    title="every rank sends a share to every other",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_group,
)
