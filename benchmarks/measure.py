"""What the measures cost, all in one run: dissimilarities, dimensions, matching and collapse, each beside its peers.

    pip install rsatoolbox scikit-dimension     # the peers; farfield itself does not need them
    python benchmarks/measure.py [--quick]

Runs measure_dissimilarity.py, measure_dimension.py, measure_matching.py and measure_collapse.py one after the other, each in a
process of its own with one thread; what each compares, and how, is said at its head. ``--quick`` leaves out the sizes at which a peer
takes minutes.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

QUICK = {
    "dissimilarity": ["--n", "200", "2000", "--rounds", "5"],
    "dimension": ["--only", "2000", "--rounds", "3"],
    "matching": ["--rounds", "3"],
    "collapse": ["--rounds", "3"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of the measures, beside their peers.")
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for topic, options in QUICK.items():
        file = Path(__file__).with_name(f"measure_{topic}.py")
        print(f"== {topic}", flush=True)
        subprocess.run([sys.executable, str(file), *(options if quick else [])], check=True, env=one_thread)


if __name__ == "__main__":
    main()
