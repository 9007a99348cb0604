"""The NCCL engine over CuPy: what it calls and with what, on modules that note it; never on a GPU."""

from contextlib import suppress
from types import SimpleNamespace

import pytest

from netprobe.buffers._cupy_here import cuda_version, load_cupy
from netprobe.errors import UnavailableError
from netprobe.model.plan import DTYPES, OPS
from netprobe.transports import _nccl_cupy
from netprobe.transports._nccl_cupy import EXTERNAL, CupyNccl, nccl_version, refuse
from netprobe.transports._nccl_engine import Broken

CALLS = {
    "allReduce": "sendbuf recvbuf count datatype op stream",
    "allGather": "sendbuf recvbuf count datatype stream",
    "reduceScatter": "sendbuf recvbuf recvcount datatype op stream",
    "broadcast": "sendbuff recvbuff count datatype root stream",
    "reduce": "sendbuf recvbuf count datatype op root stream",
    "send": "sendbuf count datatype peer stream",
    "recv": "recvbuf count datatype peer stream",
}
"""As CuPy 14.2 names the arguments."""


class NcclError(RuntimeError):
    pass


class CUDARuntimeError(RuntimeError):
    def __init__(self, words, status=1):
        super().__init__(words)
        self.status = status


def note(calls, name, result=None):
    """Return a function that notes how it was called."""

    def noted(*arguments, **named):
        calls.append((name, *arguments, *named.items()))
        if isinstance(result, Exception):
            raise result
        return result

    return noted


def modules(calls, *, version=22105, available=True, driver=12080, count=2, **failing):
    """Return what stands for CuPy; ``failing`` says what calls raise, by name."""
    graph = SimpleNamespace(launch=note(calls, "launch"))
    stream = SimpleNamespace(
        ptr=77,
        record=note(calls, "record"),
        synchronize=note(calls, "synchronize", failing.get("synchronize")),
        begin_capture=note(calls, "begin_capture"),
        end_capture=note(calls, "end_capture", failing.get("end_capture", graph)),
    )
    handle = SimpleNamespace(
        **{name: note(calls, name, failing.get(name)) for name in (*CALLS, "abort", "destroy", "check_async_error")}
    )
    nccl = SimpleNamespace(
        available=available,
        NcclError=NcclError,
        get_version=lambda: version,
        get_unique_id=note(calls, "get_unique_id", b"id"),
        NcclCommunicator=note(calls, "NcclCommunicator", failing.get("NcclCommunicator", handle)),
        groupStart=note(calls, "groupStart"),
        groupEnd=note(calls, "groupEnd", failing.get("groupEnd")),
        **{name: number for number, name in enumerate(_nccl_cupy.TYPES.values())},
        **{name: 100 + number for number, name in enumerate(_nccl_cupy.OPERATORS.values())},
    )
    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        memcpyDeviceToDevice=3,
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 12090,
        getDeviceCount=note(calls, "getDeviceCount", failing.get("getDeviceCount", count)),
        setDevice=note(calls, "setDevice"),
        deviceGetPCIBusId=lambda _ordinal: "0000:AF:00.0",
        memcpyAsync=note(calls, "memcpyAsync"),
        memsetAsync=note(calls, "memsetAsync"),
    )
    cuda = SimpleNamespace(
        nccl=nccl,
        runtime=runtime,
        Stream=lambda non_blocking: stream,
        Event=lambda: SimpleNamespace(ptr=5),
        get_elapsed_time=lambda _earlier, _later: 0.0125,
        alloc=lambda size: SimpleNamespace(ptr=4096 + size),
    )
    return SimpleNamespace(cuda=cuda)


def opened(calls, record_event=None, **traits):
    return CupyNccl(modules(calls, **traits), 1, record_event)


def test_a_library_tells_its_version_and_its_gpu():
    calls = []

    library = opened(calls)

    assert (library.description, library.gpu_pci) == ("NCCL 2.21.5", "0000:af:00.0")
    assert ("setDevice", 1) in calls


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ({"available": False}, r"CuPy finds no NCCL \(libnccl.so.2\); try: pip install nvidia-nccl-cu12"),
        ({"driver": 0}, "there is no NVIDIA driver"),
        (
            {
                "driver": 11040,
                "getDeviceCount": CUDARuntimeError("cudaErrorInsufficientDriver", 35),
            },
            "the NVIDIA driver goes up to CUDA 11.4, and CuPy is built for 12.9; try: a newer driver",
        ),
        (
            {"getDeviceCount": CUDARuntimeError("cudaErrorNoDevice", 100)},
            "the NVIDIA driver shows no GPU",
        ),
        ({"count": 1}, "CUDA shows 1 GPUs here, and this rank would need number 1"),
    ],
)
def test_what_is_missing_is_one_line_with_what_to_try(traits, says):
    with pytest.raises(UnavailableError, match=says) as caught:
        refuse(modules([], **traits), 1)

    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_where_all_is_there_nothing_is_refused():
    refuse(modules([]), 1)


def test_each_call_of_nccl_gets_its_arguments_in_order():
    calls = []
    library = opened(calls)
    nccl = library.communicator(4, b"id", 2)
    int32, largest = list(_nccl_cupy.TYPES).index("int32"), 100 + list(_nccl_cupy.OPERATORS).index("max")
    del calls[:]

    nccl.all_reduce(1, 2, 3, "int32", "max")
    nccl.all_gather(1, 2, 3, "int32")
    nccl.reduce_scatter(1, 2, 3, "int32", "max")
    nccl.broadcast(1, 2, 3, "int32", 9)
    nccl.reduce(1, 2, 3, "int32", "max", 9)
    nccl.send(1, 3, "int32", 9)
    nccl.receive(2, 3, "int32", 9)

    given = {"datatype": int32, "op": largest, "stream": 77, "root": 9, "peer": 9, "count": 3, "recvcount": 3,
             "sendbuf": 1, "sendbuff": 1, "recvbuf": 2, "recvbuff": 2}  # fmt: skip
    assert calls == [(name, *(given[each] for each in arguments.split())) for name, arguments in CALLS.items()]


def test_the_arguments_are_those_of_the_cupy_that_is_installed():
    with suppress(UnavailableError):
        cupy = load_cupy("cupy.cuda.nccl")
        nccl = cupy.cuda.nccl
        if nccl.available:
            for name, arguments in CALLS.items():
                signature = getattr(nccl.NcclCommunicator, name).__doc__.splitlines()[0]
                told = [each.split()[-1] for each in signature.partition("(self, ")[2].rstrip(")").split(", ")]
                assert told == arguments.split()
            assert all(hasattr(nccl, name) for name in (*_nccl_cupy.TYPES.values(), *_nccl_cupy.OPERATORS.values()))
            return
    pytest.skip("CuPy with NCCL is not installed")


def test_a_communicator_is_made_on_the_gpu_of_the_thread_that_makes_it():
    calls = []
    library = opened(calls)
    del calls[:]

    library.communicator(4, b"id", 2)

    assert calls == [("setDevice", 1), ("NcclCommunicator", 4, b"id", 2)]


def test_a_group_is_ended_whatever_happens_within():
    calls = []
    library = opened(calls)

    with pytest.raises(ZeroDivisionError), library.group():
        raise ZeroDivisionError

    assert [name for name, *_ in calls[-2:]] == ["groupStart", "groupEnd"]


def test_an_event_within_a_capture_is_recorded_by_every_launch():
    calls, recorded = [], []
    library = opened(calls, lambda *arguments: recorded.append(arguments) or 0)
    stream, event = library.stream(), library.event()

    stream.record(event)
    stream.begin_capture()
    stream.record(event)
    stream.end_capture().launch()
    stream.record(event)

    assert recorded == [(5, 77, EXTERNAL)]
    assert [name for name, *_ in calls].count("record") == 2
    assert calls[-2][0] == "launch"


@pytest.mark.parametrize("record_event", [None, lambda *_arguments: 801])
def test_a_driver_that_cannot_record_so_breaks_the_capture(record_event):
    library = opened([], record_event)
    stream = library.stream()
    stream.begin_capture()

    with pytest.raises(Broken, match="cuEventRecordWithFlags"):
        stream.record(library.event())


@pytest.mark.parametrize("error", [NcclError("NCCL_ERROR_x"), CUDARuntimeError("cudaErrorLaunchFailure: x")])
@pytest.mark.parametrize("name", ["allReduce", "synchronize", "abort"])
def test_errors_of_both_libraries_come_with_their_words(name, error):
    library = opened([], **{name: error})
    nccl = library.communicator(2, b"id", 0)
    acts = {
        "allReduce": lambda: nccl.all_reduce(1, 2, 3, "int8", "sum"),
        "synchronize": library.stream().synchronize,
        "abort": nccl.abort,
    }

    with pytest.raises(Broken, match=str(error)):
        acts[name]()


def test_a_communicator_that_cannot_be_made_is_broken():
    with pytest.raises(Broken, match="ncclCommInitRank: NCCL_ERROR_UNHANDLED_CUDA_ERROR"):
        opened([], NcclCommunicator=NcclError("NCCL_ERROR_UNHANDLED_CUDA_ERROR")).communicator(2, b"id", 0)


def test_what_went_wrong_meanwhile_is_asked_for():
    failed = opened([], check_async_error=NcclError("NCCL_ERROR_REMOTE_ERROR: gone")).communicator(2, b"id", 0)

    assert failed.async_error() == "NCCL_ERROR_REMOTE_ERROR: gone"
    assert opened([]).communicator(2, b"id", 0).async_error() is None


@pytest.mark.parametrize(("number", "told"), [(7, None), (6, "NCCL error 6")])
def test_results_that_cupy_has_no_name_for_are_told_by_number_and_in_progress_is_no_error(number, told):
    assert opened([], check_async_error=KeyError(number)).communicator(2, b"id", 0).async_error() == told


def test_times_are_ns_and_memory_is_clean():
    calls = []
    library = opened(calls)

    assert library.elapsed_ns(library.event(), library.event()) == 12_500
    assert library.scratch(64) == 4160
    assert ("memsetAsync", 4160, 0, 64, 77) in calls
    library.stream().copy(1, 2, 3)
    assert calls[-1] == ("memcpyAsync", 1, 2, 3, 3, 77)


def test_every_type_and_operator_is_carried_except_where_nccl_is_too_old():
    library, old = opened([]), opened([], version=2803)

    assert [library.lacks(dtype, op) for dtype in DTYPES for op in (None, *OPS)] == [None] * len(DTYPES) * 5
    assert old.lacks("bfloat16", None) == "NCCL 2.8.3 has no type for bfloat16"
    assert library.lacks("float8", None) == "NCCL 2.21.5 has no type for float8"
    assert library.lacks("int8", "avg") == "NCCL has no operator 'avg'"


def test_versions_are_written_as_people_do():
    assert [nccl_version(each) for each in (2803, 21003, 22105, 23203)] == ["2.8.3", "2.10.3", "2.21.5", "2.32.3"]
    assert cuda_version(12090) == "12.9"
