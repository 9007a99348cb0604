"""What does the fabric carry when every host sends to one other, all at once?"""

from netprobe.contracts import Probe
from netprobe.model.plan import PERMUTATION, Path, Scope
from netprobe.probes._loads import measure_load

PROBE = Probe(
    id=PERMUTATION,
    title="every host sends to one and receives from one, all at once",
    is_group=False,
    both_directions=True,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=measure_load,
    paths=(Path.MPI,),
    is_load=True,
)
