"""How ranks agree with each other."""

import time

PEER_COMES_AFTER_S = 0.5


def test_a_rank_that_waits_for_its_peer_leaves_the_core_to_others(control, together):
    # Naps cost the process no time of a CPU, however busy the machine is; spinning would cost it all of the wait.
    used_s, told = 0.0, None
    control.barrier()
    if control.rank == 0 and control.size > 1:
        began_s = time.process_time()
        told = control.swap(1, "early")
        used_s = time.process_time() - began_s
    elif control.rank == 1:
        time.sleep(PEER_COMES_AFTER_S)
        told = control.swap(0, "late")

    together(told in (None, "late" if control.rank == 0 else "early"), f"was told {told}")
    together(used_s < PEER_COMES_AFTER_S / 2, f"used {used_s:.3f} s of a CPU")


def test_what_ranks_tell_is_merged_on_its_way_to_rank_0(control, together):
    control.swap(control.rank ^ 1, "a swap before") if control.rank ^ 1 < control.size else None
    told = bytes([control.rank]) * (100_000 * control.rank)  # beyond what MPI sends without asking

    collected = control.collect(told)

    if control.rank == 0:
        every = [bytes([rank]) * (100_000 * rank) for rank in range(control.size)]
        together(list(collected) == every)
    else:
        together(collected is None)
