"""A ring: every rank sends to the next and receives from the previous, as pipeline stages do."""

from netprobe.contracts import Probe
from netprobe.model.plan import Scope
from netprobe.probes._group import measure_group

PROBE = Probe(
    id="sendrecv",
    title="ring of neighbours, each sends and receives at once",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_group,
)
