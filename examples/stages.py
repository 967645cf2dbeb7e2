"""From a trace to a table: how long each stage took between an input and its first pixel.

neverblink --world probe --seconds 60 --script examples/colours.jsonl --headless --trace show.jsonl
python examples/stages.py show.jsonl
"""

import json
import statistics
import sys
from collections import defaultdict
from itertools import pairwise

ORDER = ["pump", "submit", "encoded", "take", "recached", "denoised", "decoded", "uploaded", "flip"]


def read(path):
    """Each event's stamps in nanoseconds: {id: {stage: t_ns}}."""
    stamps = defaultdict(dict)
    with open(path) as lines:
        for line in map(json.loads, lines):
            if line["kind"] == "stage":
                stamps[line["id"]][line["stage"]] = line["t_ns"]
    return stamps


def durations(stamps):
    """Milliseconds from the stage before, for every stage that an event passed, and the total from pump to flip."""
    table = defaultdict(list)
    for event in stamps.values():
        passed = [stage for stage in ORDER if stage in event]
        for before, stage in pairwise(passed):
            table[stage].append((event[stage] - event[before]) / 1e6)
        if "flip" in event:
            table["pump to flip"].append((event["flip"] - event["pump"]) / 1e6)
    return table


def main(path):
    print(f"{'stage':<14}{'n':>5}{'p50 ms':>10}{'max ms':>10}")
    for stage, values in durations(read(path)).items():
        print(f"{stage:<14}{len(values):>5}{statistics.median(values):>10.1f}{max(values):>10.1f}")


if __name__ == "__main__":
    main(sys.argv[1])
