"""No data: how long until all ranks know that all have come."""

from netprobe.contracts import Probe
from netprobe.model.plan import Scope
from netprobe.probes._group import measure_group

PROBE = Probe(
    id="barrier",
    title="all ranks wait for all",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_group,
)
