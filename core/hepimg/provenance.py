"""Provenance: everything that one needs to know to make a result again."""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from hepimg.engine import describe_engine
from hepimg.learn import Learner
from hepimg.orders import StoredSample
from hepimg.store import installed_version

LIBRARIES = (
    "numpy", "numba", "torch", "lightning", "awkward", "pyarrow", "fastjet", "pythia8mc", "lightgbm", "scikit-learn",
    "hist", "mplhep", "safetensors", "h5py", "uproot", "pyhepmc",
)  # fmt: skip


def provenance(learner: Learner) -> dict[str, Any]:
    """Versions, seeds, keys and checksums, cross-sections, generator settings."""
    analysis = learner.analysis
    return {
        "hepimg": installed_version("hepimg"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "libraries": {name: installed_version(name) for name in LIBRARIES},
        "plugins": {plugin.name: f"{plugin.distribution} {plugin.version}" for plugin in analysis.registry.plugins},
        "analysis": analysis.document.source,
        "seed": analysis.options.seed,
        "threads": analysis.options.threads,
        "device": analysis.options.device,
        "engine": describe_engine(analysis.engine),
        "command": shlex.join(["hepimg", *sys.argv[1:]]) if sys.argv[0].endswith("hepimg") else "hepimg.run",
        "samples": {name: describe_sample(stored) for name, stored in learner.stored.items()},
        "tasks": {
            name: {
                "fit": learner.fit_key(entry),
                "predict": {sample: learner.predict_key(entry, sample) for sample in entry.apply},
                "seed": learner.run_of(entry).seed,
            }
            for name, entry in analysis.tasks.items()
        },
    }


def describe_sample(stored: StoredSample) -> dict[str, Any]:
    """Key and rows; checksum and generator's facts of the shards, which may hold more rows than are used."""
    sums = "".join(manifest["checksum"] for manifest in stored.manifests)
    return {
        "key": stored.key,
        "rows": stored.rows,
        "shards": len(stored.shards),
        "checksum": hashlib.sha256(sums.encode()).hexdigest(),
        "facts": combine_facts([manifest["facts"] for manifest in stored.manifests]),
    }


def combine_facts(facts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """One set of facts from those of the shards.

    A number that comes with an error (``cross_section_pb`` and ``cross_section_pb_error``) is averaged, its error
    falling with the number of shards; other numbers are summed; texts are kept.
    """
    combined: dict[str, Any] = {}
    for name, value in facts[0].items() if facts else ():
        values = [fact[name] for fact in facts if name in fact]
        if isinstance(value, str):
            combined[name] = value
        elif name.endswith("_error"):
            combined[name] = float(sum(v**2 for v in values) ** 0.5 / len(values))
        else:
            combined[name] = sum(values) / len(values) if f"{name}_error" in facts[0] else sum(values)
    return combined
