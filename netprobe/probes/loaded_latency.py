"""How long does a message take while the fabric is busy? Round trips alone, beside flows, and alone again."""

from netprobe.contracts import Probe
from netprobe.model.plan import LOADED_LATENCY, Path, Scope
from netprobe.probes._loads import measure_load

PROBE = Probe(
    id=LOADED_LATENCY,
    title="round trips of pairs alone, and beside flows that load the fabric",
    is_group=False,
    both_directions=True,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=measure_load,
    paths=(Path.MPI,),
    is_load=True,
)
