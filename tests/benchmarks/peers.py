"""Draws against peers: ours and theirs in turn, A B A B …, in one process.

``python tests/benchmarks/peers.py`` measures every job (some minutes), prints the tables and writes
them into docs/performance.md; ``--only JOB …`` prints those jobs alone. A row is a contender's
median time and the median of the ratios its time / ours, round by round. Peers that are not
installed are left out (extra ``bench``; llama-cpp-python where it is). Before it is timed, every
contender's answer is checked: probabilities by value, many draws by their mean log-probability.
PyTorch runs with one thread and with two; the better one counts. Where numba is installed, ours
are measured with both engines.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from answers import ANSWERS
from growth import growth, memory
from jobs import JOBS as DRAWS
from jobs import Contenders, Job, installed
from searches import SEARCHES
from softargmax import engine
from softargmax._rows.engine import use
from starts import starts
from states import STATES
from truncated import TRUNCATED

JOBS = DRAWS | TRUNCATED | SEARCHES | STATES | ANSWERS
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
ENGINE = engine()
BY_NUMPY = ", engine numpy"
OURS = ("softargmax", "Categorical", "the draw")
TURN = 0.05  # seconds of a contender's turn, or one call where that is longer


def measure(job: Job, seconds: float, name: str) -> dict[str, list[float]]:
    """Seconds a call, in turn, in as many rounds as fit (three at least)."""
    contenders, repeats = job.contenders, {}
    for contender, call in contenders.items():
        serve(contender)
        start = time.perf_counter()
        call()
        repeats[contender] = max(1, int(TURN / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {contender: [] for contender in contenders}
    start = time.perf_counter()
    with tqdm(total=round(seconds), desc=name, unit="s", leave=False, delay=1) as bar:
        while (gone := time.perf_counter() - start) < seconds or len(times["softargmax"]) < 3:
            bar.update(min(round(gone), bar.total) - bar.n)
            for contender, call in contenders.items():
                # Untimed: a cold cache, and memory that the others have given back.
                serve(contender)
                call()
                times[contender].append(turn(call, repeats[contender], job.renew))
                if re.search("thread|workers|jax|transformers", contender):
                    time.sleep(0.3)  # idle threads of a pool spin for up to 0.2 s
    return times


def turn(call: Callable[[], object], repeats: int, renew: Callable[[], None] | None) -> float:
    """Seconds a call."""
    gone, begin = 0.0, time.perf_counter()
    if renew is None:
        for _ in range(repeats):
            call()
        return (time.perf_counter() - begin) / repeats
    for _ in range(repeats):
        renew()
        begin = time.perf_counter()
        call()
        gone += time.perf_counter() - begin
    return gone / repeats


def serve(contender: str) -> None:
    """Let the contender's engine serve."""
    use("numpy" if contender.endswith(BY_NUMPY) else ENGINE)


def with_both_engines(make: Callable[[], Job]) -> Job:
    """A job with ours by both engines, each with the objects at hand that it made."""
    use(ENGINE)
    job = make()
    if ENGINE == "numpy":
        return job
    serve(BY_NUMPY)
    contenders: Contenders = {}
    plains = make()
    for (name, call), plain in zip(job.contenders.items(), plains.contenders.values(), strict=True):
        contenders[name] = call
        if name.startswith(OURS):
            contenders[name + BY_NUMPY] = plain

    def renew() -> None:
        for own in (job, plains):
            if own.renew is not None:
                own.renew()

    return job._replace(contenders=contenders, renew=job.renew and renew)


def table_rows(times: dict[str, list[float]]) -> Iterator[str]:
    """A row a contender: median time, median ratio to ours in the same round."""
    medians = {name: float(np.median(values)) for name, values in times.items()}
    for name, values in times.items():
        if re.fullmatch(r".*, \d threads?", name):
            base = name.rpartition(", ")[0]
            rivals = [m for other, m in medians.items() if other.rpartition(", ")[0] == base]
            if medians[name] > min(rivals):
                continue  # the better number of threads counts
        ratio = np.median(np.array(values) / np.array(times["softargmax"]))
        yield f"| {name} | {show(medians[name])} | {ratio:.2f} |"


def show(seconds: float) -> str:
    """A time with its unit, to three digits."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def machine() -> str:
    """The processor and the versions that were measured."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        told = information.read_text()
        found = re.search(r"model name\s*: (.*)", told)
        model = found[1] if found else model
        vectors = next((name for name in ("avx512f", "avx2") if name in told), None)
        model += f" ({vectors.upper().removesuffix('F')})" if vectors else ""
    names = [
        "numpy",
        "scipy",
        "torch",
        "jax",
        "transformers",
        "llama_cpp_python",
        "particles",
        "numba",
    ]
    modules = {"llama_cpp_python": "llama_cpp"}
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in names
        if installed(modules.get(name, name))
    ]
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}."
    )


def peers(names: list[str], seconds: float) -> Iterator[str]:
    """The table of the jobs, a line at a time."""
    yield "| | median | time / ours |"
    yield "|---|---|---|"
    for name in names:
        job = with_both_engines(JOBS[name])
        for contender, call in job.contenders.items():
            serve(contender)
            if not contender.startswith("floor") and not job.check(call()):
                raise SystemExit(f"{name}: {contender} gives another answer")
        yield f"| **{job.title}** | | |"
        yield from table_rows(measure(job, seconds, name))


def engines(names: list[str], seconds: float) -> Iterator[str]:
    """Ours alone, by both engines: a line a job."""
    yield machine()
    yield ""
    yield "| job | engine numba | engine numpy, times as long |"
    yield "|---|---|---|"
    for name in names:
        job = with_both_engines(JOBS[name])
        pair = {key: job.contenders[key] for key in ("softargmax", "softargmax" + BY_NUMPY)}
        times = measure(job._replace(contenders=pair), seconds, name)
        ratios = np.array(times["softargmax" + BY_NUMPY]) / np.array(times["softargmax"])
        yield f"| {job.title} | {show(np.median(times['softargmax']))} | {np.median(ratios):.2f} |"


def write(sections: dict[str, str]) -> None:
    """Put the tables between their marks in docs/performance.md."""
    text = PAGE.read_text()
    for name, table in sections.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{table.strip()}\n\n{end}{rest.split(end)[1]}"
    PAGE.write_text(text)


def main() -> None:
    """Measure, print, and write what was measured whole."""
    sections = {
        "machine": lambda seconds: iter([machine()]),
        "peers": lambda seconds: peers(list(JOBS), seconds),
        "growth": lambda seconds: growth(show, seconds / 20),
        "memory": lambda seconds: memory(),
        "starts": lambda seconds: starts(show),
        "engines": lambda seconds: engines(list(JOBS), seconds / 5),
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    known = [*JOBS, "growth", "memory", "starts", "engines"]
    parser.add_argument("--only", nargs="+", choices=known, metavar="JOB", help=", ".join(known))
    parser.add_argument("--seconds", type=float, default=10.0, help="a job, at least")
    options = parser.parse_args()
    if options.only:
        jobs = [name for name in options.only if name in JOBS]
        sections = {name: sections[name] for name in ("machine", *options.only) if name not in JOBS}
        if jobs:
            sections["peers"] = lambda seconds: peers(jobs, seconds)
    tables = {}
    for name, lines in sections.items():
        tables[name] = ""
        for line in lines(options.seconds):
            tqdm.write(line)
            tables[name] += line + "\n"
        tqdm.write("")
    if not options.only:
        write(tables)


if __name__ == "__main__":
    main()
