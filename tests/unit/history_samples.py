"""Histories that never were: digests of night after night, with what goes wrong in them."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from netprobe.model.finding import Severity
from netprobe.model.history import FLEET, Digest, Figure, HostFact, Sighting, Unit
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict

FIRST = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
SENDS = "RDMA bandwidth 8M, sends"
FACTS = {"MPI": "MPICH 4.3", "NIC": "MT4129", "NIC firmware": "28.39.1002", "kernel": "5.15.0-91"}


@dataclass(kw_only=True)
class Site:
    """A fleet of hosts with NICs, and what happens to it; nights count from 0."""

    hosts: int = 8
    nics: int = 2
    nights: int = 60
    noise: float = 0.006
    seed: int = 7
    factor: dict = field(default_factory=dict)
    """By subject: from a night to its rate as a share of normal, or several of these."""
    fleet_factor: object = None
    """The same for all."""
    facts_at: object = None
    """From (night, host) to its facts."""
    gone: dict = field(default_factory=dict)
    """By host: the night from which on it takes no part."""
    seen: dict = field(default_factory=dict)
    """By night: sightings."""
    status: dict = field(default_factory=dict)
    """By night, where it is not complete."""
    profile: str = "nightly"

    def names(self):
        return [f"node{host + 1:02d}" for host in range(self.hosts)]

    def night(self, night):
        """Return the digest of a night."""
        chance = np.random.default_rng([self.seed, night])
        hosts = [host for host in self.names() if night < self.gone.get(host, self.nights)]
        figures = []
        for host in hosts:
            for nic in range(self.nics):
                subject = f"{host} mlx5_{nic}"
                level = 390.0 * (1 + self._own(host, nic)) * self._share(subject, night)
                figures.append(figure(subject, host, level * np.exp(chance.normal(0, self.noise))))
        fleet = 180.0 * (self.fleet_factor(night) if self.fleet_factor else 1.0)
        figures.append(
            replace(figure(FLEET, None, fleet), title="allreduce 128M", metric="busbw", unit=Unit.GIGABYTES_PER_S)
        )
        facts = self.facts_at or (lambda night, host: FACTS)
        seen = tuple(self.seen.get(night, ()))
        return Digest(
            run=f"{FIRST + timedelta(days=night):%Y-%m-%dT%H-%M-%SZ}-{night:04x}",
            started=FIRST + timedelta(days=night),
            status=self.status.get(night, RunStatus.COMPLETE),
            profile=self.profile,
            verdict=Verdict.DEGRADED if seen else Verdict.HEALTHY,
            figures=tuple(figures),
            facts=tuple(HostFact(host=h, name=n, value=v) for h in hosts for n, v in facts(night, h).items()),
            sightings=seen,
        )

    def _own(self, host, nic):
        return np.random.default_rng([self.seed, int(host[4:]), nic, 99]).normal(0, 0.01)

    def _share(self, subject, night):
        share = self.fleet_factor(night) if self.fleet_factor else 1.0
        own = self.factor.get(subject)
        return share * (own(night) if own else 1.0)

    def digests(self):
        return [self.night(night) for night in range(self.nights)]


def figure(subject, host, value, **changes):
    fields = {
        "title": SENDS, "metric": "bandwidth", "subject": subject, "host": host, "unit": Unit.GBPS,
        "value": float(value), "mad": 1.0, "samples": 5,
    }  # fmt: skip
    return Figure(**{**fields, **changes})


def flap(subject, host=None, detector="link-flap", severity=Severity.BLOCKS):
    return Sighting(
        detector=detector, severity=severity, subject=subject, host=host, summary="went down 2 times during the run"
    )


def rows_of(digests):
    """Return digests as they are read from a folder."""
    from pathlib import Path

    from netprobe.store.digest import digest_frame
    from netprobe.store.history import rows_of_frames

    frames = dict(enumerate(map(digest_frame, digests)))
    return rows_of_frames(frames, [Path(each.run) for each in digests])


def history_from(site, **options):
    from netprobe.history.nights import history_of

    return history_of(rows_of(site.digests()), **options).history


def on(night):
    """Return the moment just after a night's run."""
    return FIRST + timedelta(days=night, hours=1)
