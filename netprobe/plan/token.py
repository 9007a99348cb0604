"""A plan as one word of an argument list: it survives mpiexec, ssh and srun, which quote differently."""

import base64
import binascii
import zlib

import msgspec

from netprobe.errors import PlanError
from netprobe.model.plan import Plan


def encode(plan: Plan) -> str:
    """Return the plan as URL-safe base64."""
    return base64.urlsafe_b64encode(zlib.compress(msgspec.json.encode(plan))).decode("ascii")


def decode(token: str) -> Plan:
    """Return the plan of a token; raise PlanError when it is none."""
    try:
        return msgspec.json.decode(zlib.decompress(base64.urlsafe_b64decode(token)), type=Plan)
    except (binascii.Error, zlib.error, msgspec.DecodeError) as error:
        raise PlanError(f"the plan handed to this rank is damaged: {error}") from error
