"""From the options of a check to its plan: the same for ``check``, ``nightly`` and ``gate``."""

from dataclasses import replace
from typing import TYPE_CHECKING

from netprobe.cli.options import Bursts, OnGpus, Rdma, burst_wish_of, duration_ns, wish_of
from netprobe.model.plan import Carriers

if TYPE_CHECKING:
    from netprobe.model.plan import Plan

NO_BURSTS = Bursts()


def check_plan(
    profile: str, budget: str | None, rdma: Rdma, gpus: OnGpus, bursts: Bursts = NO_BURSTS, *, all_pairs: bool = False
) -> "Plan":
    """Return the plan of a profile; PlanError names the option that means nothing."""
    from netprobe.plan.bursts import with_soak
    from netprobe.plan.profiles import plan_for

    plan = plan_for(
        profile,
        budget_ns=None if budget is None else duration_ns("--budget", budget),
        all_pairs=all_pairs,
        carriers=rdma.transport or Carriers.AUTO,
        wish=wish_of(rdma),
        memories=gpus.memory,
    )
    return replace(with_soak(plan, burst_wish_of(bursts)), gpu_map=gpus.places)
