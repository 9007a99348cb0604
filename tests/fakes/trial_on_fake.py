"""The trial of netprobe.session.cuda_trial with a GPU of the tests: one whose memory MPI may touch, or must not."""

import os
import sys

from fake_gpu import FakeGpu

from netprobe.session.cuda_trial import main

if __name__ == "__main__":
    os._exit(main(sys.argv[1:], opens=lambda ordinal: FakeGpu(ordinal=ordinal, hides=sys.argv[2] == "hidden")))
