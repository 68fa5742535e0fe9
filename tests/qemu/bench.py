"""Instruction counts, and how they compare with those of last time.

Under `-icount` the time-stamp counter counts guest instructions, so a run repeats exactly and clocks play no part.
"""

from pathlib import Path

import machine
import scenarios

BASELINE = Path(__file__).resolve().parent / "baseline.tsv"
# By how much a count may rise before the test fails.
TOLERANCE = 0.05


def measure(kernel, root, modules, work):
    """Name and count of everything that is measured."""
    image = scenarios.archive(work / "image")
    block = work / "block"
    block.write_bytes(bytes(1 << 16))
    lines, log = machine.boot(
        kernel, root, ["bench tarfs"], modules=modules, image=image, extra=[("bench", block)], count_instructions=True, timeout=120
    )
    counts = {}
    for line in lines:
        words = line.split()
        if words[0] == "bench":
            counts[words[1]] = int(words[2])
    if not counts:
        raise machine.Failure("nothing was measured", log)
    return counts


def stored():
    """The counts of last time."""
    lines = [line for line in BASELINE.read_text().splitlines() if not line.startswith("#")]
    return {name: int(count) for name, count in (line.split("\t") for line in lines)}


def run(kernel, root, modules, work, *, record):
    """Measures, prints, and records or compares."""
    counts = measure(kernel, root, modules, work)
    if record:
        text = "# Guest instructions, by tests/qemu/run --bench --record\n"
        BASELINE.write_text(text + "".join(f"{name}\t{count}\n" for name, count in counts.items()))
    before = stored()
    if before.keys() != counts.keys():
        raise machine.Failure(f"{BASELINE.name} has {sorted(before)}, measured were {sorted(counts)}: record it anew")
    worse = []
    for name, count in counts.items():
        change = count / before[name] - 1
        print(f"{name}: {count} instructions, {change:+.1%}")
        if change > TOLERANCE:
            worse.append(name)
        elif change < -TOLERANCE:
            print(f"  less than {BASELINE.name} says by more than {TOLERANCE:.0%}: record it with --bench --record")
    if worse:
        raise machine.Failure(f"more than {TOLERANCE:.0%} above {BASELINE.name}: {', '.join(worse)}")
