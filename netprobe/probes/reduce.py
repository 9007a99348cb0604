"""All ranks' buffers are reduced onto the root."""

from netprobe.contracts import Probe
from netprobe.model.plan import Scope
from netprobe.probes._group import measure_group

PROBE = Probe(
    id="reduce",
    title="reduce a buffer over all ranks onto the root",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_group,
)
