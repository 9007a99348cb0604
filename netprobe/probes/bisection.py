"""What crosses the middle of the fabric when every host of one half exchanges data with one of the other?"""

from netprobe.contracts import Probe
from netprobe.model.plan import BISECTION, Path, Scope
from netprobe.probes._loads import measure_load

PROBE = Probe(
    id=BISECTION,
    title="every host of one half exchanges data with one of the other, all at once",
    is_group=False,
    both_directions=True,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=measure_load,
    paths=(Path.MPI,),
    is_load=True,
)
