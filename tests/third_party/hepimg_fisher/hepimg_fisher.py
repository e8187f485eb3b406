"""A Fisher discriminant on jet observables, for hepimg."""

from typing import ClassVar

import numpy as np

from hepimg import Sample
from hepimg.components import Collection, Column, Field, Task
from hepimg.hooks import hookimpl
from hepimg.observables import ObservableName, compute


class FisherOnObservables(Task):
    """Fisher's linear discriminant: w = (S_signal + S_background)^-1 (m_signal - m_background).

    m are the means and S the covariances of the observables (Fisher, Annals of Eugenics 7 (1936) 179).
    The score is the projection on w; it is 0 halfway between the means.
    """

    name: ClassVar[str] = "fisher_on_observables"

    signal: str = Field(description="sample that is the signal; all others are background")
    observables: tuple[ObservableName, ...] = Field(
        ("mass", "tau21"), min_length=1, description="observables of the constituents, such as mass or tau21[beta=2]"
    )

    def reads(self):
        """The constituents of each jet."""
        return [Collection("constituents", {"pt": "GeV", "y": "", "phi": "rad"})]

    def writes(self, ports):
        """The score, a pure number."""
        return [Column("score")]

    def samples(self):
        """The sample that must exist."""
        return [self.signal]

    def fit(self, train, valid, run):
        """Means and covariances of the training jets give the direction at once; nothing is left to validate."""
        jets = train.load(["constituents"])
        values, is_signal = self._values(jets), jets.is_from(self.signal)
        signal, background = values[is_signal], values[~is_signal]
        covariance = np.cov(signal, rowvar=False) + np.cov(background, rowvar=False)
        means = signal.mean(axis=0), background.mean(axis=0)
        direction = np.linalg.solve(np.atleast_2d(covariance), means[0] - means[1])
        run.logger.info("direction: %s", dict(zip(self.observables, direction, strict=True)))
        return {"direction": direction, "middle": (means[0] + means[1]) / 2}

    def predict(self, state, sample, run):
        """One number for each jet."""
        return {"score": (self._values(sample) - state["middle"]) @ state["direction"]}

    def _values(self, jets: Sample) -> np.ndarray:
        """(n_jets, n_observables)."""
        values = compute(self.observables, jets.collection("constituents").particles())
        return np.stack([values[name] for name in self.observables], axis=1)


@hookimpl
def hepimg_tasks():
    """What this plugin offers."""
    return [FisherOnObservables]
