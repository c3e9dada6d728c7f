"""The chart of performance.md, from the page's own table: a row a job, a dot a contender."""

import re
from pathlib import Path

import matplotlib.pyplot as plt

LIBRARIES = {
    "numpy": "NumPy",
    "scipy": "SciPy",
    "torch": "PyTorch",
    "transformers": "transformers",
    "jax": "JAX",
    "llama": "llama.cpp",
    "particles": "particles",
}
text = Path("performance.md").read_text(encoding="utf-8")
rows = re.findall(
    r"^\| (.+?) \|.*?\| *([\d.]*) \|$", re.split(r"<!-- (?:end of )?peers -->", text)[1], re.M
)
jobs: list[str] = []
dots: dict[str, list[tuple[float, int]]] = {name: [] for name in LIBRARIES.values()}
for what, times in rows:
    if what.startswith("**"):
        jobs.append(re.sub(r"[*`]", "", what))
        continue
    library = LIBRARIES.get(re.match(r"\w*", what.lower())[0])  # type: ignore[index]
    if library and times:
        dots[library].append((float(times), len(jobs) - 1))
shown = sorted({row for of_one in dots.values() for _, row in of_one})
_, ax = plt.subplots(figsize=(9, 1.2 + 0.27 * len(shown)), layout="constrained")
for (library, of_one), marker in zip(dots.items(), "osD^vPX", strict=True):
    if of_one:
        x, y = zip(*((times, shown.index(row)) for times, row in of_one), strict=True)
        ax.scatter(x, y, s=32, marker=marker, label=library, zorder=3)
ax.axvline(1, color="0.3")
ax.set(xscale="log", ylim=(len(shown) - 0.4, -0.6), xlabel="time / softargmax's (log scale)")
ax.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["½", "1", "2", "5", "10", "20", "50", "100"])
ax.minorticks_off()
ax.set_yticks(range(len(shown)), [jobs[row] for row in shown], fontsize=8)
ax.grid(axis="both", color="0.9")
ax.set_title("left of 1 the other is faster, right of 1 softargmax", fontsize=10)
ax.legend(loc="upper center", bbox_to_anchor=(0.2, -0.05), ncols=7, fontsize=8, frameon=False)
