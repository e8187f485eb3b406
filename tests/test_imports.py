"""Help and checks are quick because the slow libraries are not imported for them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {
    "numba",
    "awkward",
    "torch",
    "lightning",
    "sklearn",
    "matplotlib",
    "pyarrow",
    "fastjet",
    "pythia8mc",
    "lightgbm",
    "scipy",
}
ANALYSIS = Path(__file__).parents[1] / "analyses" / "qcd_vs_top.yaml"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check", str(ANALYSIS)], ["plugins"], ["schema"], ["run", "no_such_file.yaml"]]
)
def test_no_slow_library_is_imported(arguments: list[str]) -> None:
    program = (
        "import sys, json, atexit\n"
        "names = lambda: sorted({name.split('.')[0] for name in sys.modules})\n"
        "atexit.register(lambda: print(json.dumps(names()), file=sys.stderr))\n"
        f"sys.argv = ['hepimg', *{arguments!r}]\n"
        "from hepimg.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    assert "typer" in imported
    assert not imported & SLOW


def test_kernels_import_numpy_and_numba_only() -> None:
    # llvmlite is how numba speaks to LLVM.
    allowed = {"numpy", "numba", "llvmlite", "hepimg.kernels", *sys.stdlib_module_names}
    for path in (Path(__file__).parents[1] / "core" / "hepimg" / "kernels").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                assert any(module == name or module.startswith(f"{name}.") for name in allowed), (path.name, module)
