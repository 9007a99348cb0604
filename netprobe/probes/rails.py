"""Do the rails of a host take bandwidth from each other? Each alone between two hosts, then all, both ways at once."""

from netprobe.contracts import Probe
from netprobe.model.plan import RAILS, Path, Scope
from netprobe.probes._loads import measure_load

PROBE = Probe(
    id=RAILS,
    title="rails of two hosts, one by one and all at once, both ways",
    is_group=False,
    both_directions=True,
    scopes=(Scope.BETWEEN_HOSTS,),
    run=measure_load,
    paths=(Path.MPI,),
    is_load=True,
)
