"""What does a receiver get when many send to it? Flows from 1, 2, 4 … senders to one receiver at a time."""

from netprobe.contracts import Probe
from netprobe.model.plan import INCAST, Path, Scope
from netprobe.probes._loads import measure_load

PROBE = Probe(
    id=INCAST,
    title="flows from 1, 2, 4 … senders into one receiver",
    is_group=False,
    both_directions=True,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=measure_load,
    paths=(Path.MPI,),
    is_load=True,
)
