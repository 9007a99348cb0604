"""What kernels/host declares of libibverbs is what its own header declares, wherever that is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "kernels/host"
HEADER = Path("/usr/include/infiniband/verbs.h")
WHOLE = (
    "wc", "sge", "send_wr", "recv_wr", "pd", "mr", "qp_cap", "qp_init_attr", "global_route", "ah_attr", "qp_attr",
    "device_attr", "port_attr", "cq_init_attr_ex", "device_attr_ex", "poll_cq_attr",
)  # fmt: skip
PARTLY = ("context", "cq", "cq_ex", "qp")  # the rest is the library's own business
OPERATIONS = ("poll_cq", "post_send", "post_recv")
BEFORE = ("create_cq_ex", "query_device_ex", "sz")
"""What lies in front of a context; offsets count from its end."""
STAMPING = ("start_poll", "end_poll", "read_vendor_err", "read_completion_ts")


@pytest.fixture(scope="module")
def compiler(need):
    path = shutil.which("cc")
    need("verbs-header", path is not None and HEADER.exists(), "a C compiler and <infiniband/verbs.h> (libibverbs-dev)")
    return path


def fields_of(name):
    """Return the named fields of a struct as verbs_abi.h declares it."""
    [body] = re.findall(rf"^struct ib_{name} {{\n(.*?)^}};", (KERNELS / "verbs_abi.h").read_text(), re.M | re.S)
    return re.findall(r"^    (?! )[\w ]+?[ *]+(\w+)(?:\[\d+\])?;", body, re.M)


def claims():
    for name in (*WHOLE, *PARTLY):
        if name in WHOLE:
            yield f"sizeof(struct ib_{name}) == sizeof(struct ibv_{name})"
        for field in fields_of(name):
            if field not in ("others", "dgid"):
                yield f"offsetof(struct ib_{name}, {field}) == offsetof(struct ibv_{name}, {field})"
    yield "offsetof(struct ib_send_wr, wr) == offsetof(struct ibv_send_wr, wr)"
    yield "offsetof(struct ib_send_wr, wr.atomic.rkey) == offsetof(struct ibv_send_wr, wr.atomic.rkey)"
    for operation in OPERATIONS:
        yield f"offsetof(struct ib_context, ops.{operation}) == offsetof(struct ibv_context, ops.{operation})"
    for name in re.findall(r"\bIB_([A-Z0-9_]+)\b", (KERNELS / "verbs_abi.h").read_text()):
        yield f"IB_{name} == IBV_{name}"
    yield from extensions()


def extensions():
    """Yield what datagrams and stamps add."""
    yield "offsetof(struct ib_send_wr, wr.ud.remote_qkey) == offsetof(struct ibv_send_wr, wr.ud.remote_qkey)"
    yield "sizeof(struct ib_context) == sizeof(struct ibv_context)"
    for name in BEFORE:
        yield (
            f"sizeof(struct ib_context_before) - offsetof(struct ib_context_before, {name}) "
            f"== offsetof(struct verbs_context, context) - offsetof(struct verbs_context, {name})"
        )
    yield "(uintptr_t)__VERBS_ABI_IS_EXTENDED == UINTPTR_MAX"
    for name in STAMPING:
        yield f"offsetof(struct ib_cq_ex, {name}) == offsetof(struct ibv_cq_ex, {name})"


def compiles(compiler, folder, assertions):
    source = folder / "claims.c"
    lines = ["#include <infiniband/verbs.h>", "#include <stddef.h>", '#include "verbs_abi.h"']
    source.write_text("\n".join([*lines, *(f'_Static_assert({each}, "{each}");' for each in assertions)]) + "\n")
    return subprocess.run(
        [compiler, "-std=c11", "-fsyntax-only", f"-I{KERNELS}", str(source)], capture_output=True, text=True
    )


def test_every_size_offset_and_constant_is_the_headers(compiler, tmp_path):
    every = list(claims())

    said = compiles(compiler, tmp_path, every)

    assert len(every) > 150
    assert said.returncode == 0, said.stderr


def test_a_wrong_claim_does_not_compile(compiler, tmp_path):
    said = compiles(compiler, tmp_path, ["sizeof(struct ib_wc) == sizeof(struct ibv_qp_attr)"])

    assert said.returncode != 0
