"""``lam3db --help`` against a bare interpreter: how long, and nothing heavy imported.

Run by hand: ``python tests/benchmarks/bench_help.py``. Aim: under 0.25 s, with torch,
transformers, sqlalchemy and alembic not imported.

On 2026-11-23, two cores, no GPU, Python 3.11: 0.149 s, 16 times a bare interpreter (0.009 s);
with other work on both cores 0.33 s. None of the heavy libraries imported.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

HEAVY = ("torch", "transformers", "sqlalchemy", "alembic", "pydantic", "scipy", "PIL", "yaml")
ROUNDS = 15


def median_seconds(*command: str) -> float:
    """Return the median wall time of a command, in seconds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def imported() -> list[str]:
    """Return which heavy libraries the help text imports."""
    code = (
        "import sys\nsys.argv = ['lam3db', '--help']\n"
        "from lam3db.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('IMPORTED', *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.rsplit("IMPORTED", 1)[1].split()


def main() -> None:
    """Measure and print."""
    bare = median_seconds(sys.executable, "-c", "pass")
    ours = median_seconds(sys.executable, "-m", "lam3db", "--help")
    print(f"bare interpreter  {bare:.3f} s")
    print(f"lam3db --help     {ours:.3f} s   {ours / bare:.1f} x bare   (aim: under 0.25 s)")
    print(f"heavy imports     {imported() or 'none'}")


if __name__ == "__main__":
    main()
