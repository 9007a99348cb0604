"""All ranks reduce a buffer and all get the result: the operation that training waits for."""

from netprobe.contracts import Probe
from netprobe.model.plan import Scope
from netprobe.probes._group import measure_group

PROBE = Probe(
    id="allreduce",
    title="reduce a buffer over all ranks, result everywhere",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_group,
)
