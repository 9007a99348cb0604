"""Does a hot receiver hold up who has nothing to do with it? A flow that shares a leaf with it, with and without."""

from netprobe.contracts import Probe
from netprobe.model.plan import VICTIM, Path, Scope
from netprobe.probes._loads import measure_load

PROBE = Probe(
    id=VICTIM,
    title="a flow beside an incast that it shares nothing but a switch with",
    is_group=False,
    both_directions=True,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=measure_load,
    paths=(Path.MPI,),
    is_load=True,
)
