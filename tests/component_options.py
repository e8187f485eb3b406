"""Options with which each component of the installed plugins is tried: small and quick, and all that branch."""

from __future__ import annotations

from typing import Any

from examples import WRITERS

from hepimg.registry import Kind

GRID = {"eta": (-0.8, 0.8), "phi": (-0.8, 0.8), "shape": (16, 16)}
IMAGE = {"image": "image", "collection": None}
CLEANED = {"charged_hard": "image", "charged_pileup": "hr", "neutral": "lr", "truth": "lr"}
FAST_NETWORK = {"network": {"widths": (4,), "blocks": (1,)}, "fit": {"epochs": 1, "batch_size": 32}}

OPTIONS: dict[tuple[Kind, str], list[dict[str, Any]]] = {
    ("source", "pythia"): [{"process": "dijet", "pt_hat": (200.0, None), "mpi": False, "hadronisation": False}],
    **{("source", name): [{"files": f"{name}.file"}] for name in WRITERS},
    ("source", "delphes"): [{"files": "d.root", "particles": "towers"}, {"files": "d.root", "drop_invalid": True}],
    ("source", "delphes_jets"): [{"files": "d.root", "drop_invalid": True}],
    ("source", "calochallenge"): [{"files": "c.h5", "binning": "c.xml", "particle": "photon"}],
    ("source", "noise"): [{}, {"particles": 3, "sigma": 10.0, "window": (0.5, 3.0)}],
    ("step", "cluster"): [{"pt": (20.0, None)}],
    ("step", "calorimeter"): [{}, {"electromagnetic": {"stochastic": 0.1}}],
    ("step", "overlay"): [{"pool": "soft", "mu": 5.0}, {"pool": "soft", "mu": {"uniform": (0, 9)}, "rotate": False}],
    ("step", "soft_drop"): [{}, {"beta": 1.0, "into": "constituents"}],
    ("step", "trim"): [{}, {"algorithm": "cambridge"}],
    ("step", "softkiller"): [{}, {"tracks": {}}, {"field": "killed_pt"}],
    ("step", "constituent_subtraction"): [{}, {"tracks": {}, "masses": "scale"}],
    ("step", "puppi"): [{}, {"exponent": 2.0}],
    ("step", "pairs"): [{"particles": "particles", "pt": (300.0, None), "min_constituents": 3}],
    ("step", "pixelate"): [{"grid": GRID}, {"grid": GRID, "channels": ("pt", "count", "y", "charge")}],
    ("step", "pool"): [{"factor": 2}],
    ("step", "crop"): [{"rows": (4, 12), "columns": (0, 8)}],
    ("step", "translate"): [{"by": (0.1, 0.1)}, {"by": (0.1, 0.1), "random": False}, {"by": (2, 2), **IMAGE}],
    ("step", "rotate"): [{}, {"angle": "principal_axis"}, {"angle": 30.0}, IMAGE],
    ("step", "flip"): [{}, {"axis": "harder"}, {"axis": "far_phi"}, IMAGE],
    ("step", "center"): [{}, {"snap": (0.1, 0.1)}, {"snap": (0.1, 0.1), "on": "cell"}],
    ("step", "power"): [{"exponent": 0.5}],
    ("step", "threshold"): [{"minimum": 10.0}],
    ("step", "copy"): [
        {"collection": "constituents", "into": "moved"},
        {"image": "image", "into": "fine"},
        {"collection": "constituents", "into": "neutral", "where": {"charge": "neutral"}, "pt": "mass"},
    ],
    ("step", "measure"): [{"names": ("girth", "tau21")}, {"names": ("mass",), "image": "image", "prefix": "image_"}],
    ("step", "select"): [{"column": "mass", "range": (30.0, None)}],
    ("step", "subjets"): [{}, {"algorithm": "cambridge"}],
    ("task", "tagging"): [{"signal": "two", **FAST_NETWORK}],
    ("task", "trees"): [{"signal": "two", "observables": ("mass", "girth")}],
    ("task", "fisher"): [{"signal": "two", "observables": ("mass", "girth")}],
    ("task", "two_sample"): [{"truth": "hr", "generated": "image", **FAST_NETWORK}],
    ("task", "super_resolution"): [
        {"network": {"channels": 4, "blocks": (1,), "kernel": 3}, "fit": {"epochs": 1}, **options}
        for options in ({"draws": 2}, {"correct": True})
    ],
    ("task", "superres_gan"): [
        {
            "networks": {
                "rrdb": 1,
                "filters": 4,
                "upsampling": ("ps", "tc"),
                "reset": 1,
                "discriminator_filters": 4,
                "discriminator_blocks": 2,
            },
            "fit": {"steps": 2, "batch_size": 8, "evaluate_every": 1},
        }
    ],
    ("task", "superres_baseline"): [{"how": "uniform"}, {"how": "marginal", "draws": 2}, {"how": "nearest"}],
    ("task", "autoencoder"): [
        {"network": {"convolutions": (4,), "layers": (8, 2, 8)}, "fit": {"epochs": 1, "batch_size": 32}, "images": True}
    ],
    ("task", "sparse_autoencoder"): [
        {"network": {"latent": 2, "widths": (4,), "channels": 4}, "fit": {"epochs": 1, "batch_size": 32}}
    ],
    ("task", "pca"): [{"components": 3}],
    ("task", "neighbours"): [{"columns": ("mass", "pt"), "log": ("pt",), "neighbours": 3}],
    ("task", "anomaly"): [{"parts": ({"of": "mass", "side": "both", "given": ("pt",)}, {"of": "pt"})}],
    ("task", "generator"): [
        {"network": {"channels": 4, "blocks": (1,), "kernel": 3}, "fit": {"epochs": 1, "batch_size": 32}}
    ],
    ("task", "pumml"): [
        {**CLEANED, "network": {"filters": (2, 2)}, "fit": {"epochs": 1, "batch_size": 32}, "loss": {"total": 1.0}}
    ],
    ("task", "pileup_unet"): [
        {
            **CLEANED,
            "columns": ("rho",),
            "network": {"charged": (4, 4, 4), "widths": (4, 4), "blocks": (1, 1)},
            "fit": {"epochs": 1, "batch_size": 32},
        }
    ],
    ("task", "lagan"): [
        {
            "networks": {
                "latent": 4,
                "dense": 4,
                "convolution": 4,
                "discriminator_convolution": 4,
                "kernels": 2,
                "kernel_width": 2,
            },
            "fit": {"steps": 3, "batch_size": 20, "evaluate_every": 2},
        }
    ],
    ("task", "nearest"): [{"generated": "hr", "pool": 2}],
    ("metric", "confusion"): [{"scores": ["tag.score"], "signal": "two", "replicas": 5}],
    ("metric", "extremes"): [{"of": "mass", "images": ["image"]}],
    ("metric", "roc"): [{"scores": ["tag.score"], "signal": "two", "replicas": 5}],
    ("metric", "closure"): [{"truth": "image", "generated": ["again.image"], "replicas": 5}],
    ("metric", "distances"): [{"truth": "image", "generated": ["again.image"], "names": ["mass", "girth"]}],
    ("metric", "plane"): [{"truth": "image", "generated": ["again.image"], "bins": 4, "replicas": 5}],
    ("metric", "quantile"): [{"of": ["tag.score"], "against": "tag.score", "fraction": 0.1, "replicas": 5}],
    ("metric", "images"): [{"image": "image"}],
    ("metric", "profile"): [{"against": "mass", "collections": ["constituents"], "images": ["image"], "replicas": 5}],
    ("metric", "scatter"): [{"against": ["lr2"], "replicas": 5}],
    ("metric", "resolution"): [
        {"names": ["mass"], "collections": ["constituents", "lr2"], "replicas": 5},
        {
            "names": ["mass", "pt"],
            "jets": {
                "all": {"collections": ["constituents"]},
                "both": {"collections": ["lr2"], "images": ["image"]},
                "known": {"columns": {"mass": "mass"}},
            },
            "relative": True,
            "against": {"column": "pt", "edges": (0.0, 100.0, 1000.0)},
            "replicas": 5,
        },
    ],
    ("metric", "observables"): [{"names": ["mass", "girth"], "replicas": 5}],
}
