"""All ranks reduce a buffer and each keeps its share: gradients of sharded training."""

from netprobe.contracts import Probe
from netprobe.model.plan import Scope
from netprobe.probes._group import measure_group

PROBE = Probe(
    id="reducescatter",
    title="reduce over all ranks, each keeps its share",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_group,
)
