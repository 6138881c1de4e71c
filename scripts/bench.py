#!/usr/bin/env python3
"""Measure whole runs of ekvsnap and write the table of docs/performance.md.

  scripts/bench.py [--dir DIR] [--runs N] [--scenarios a,b] [--rows N,M] [--write]

Builds the release binaries, makes each scenario with the project's own generator, and measures `load`, `export` and
`decode` as whole processes: the median wall time of N runs and the largest peak memory (maximum resident set). In the
same run it measures, for comparison, `tar x` of the same tree and `cp` of the snapshot followed by `sha256sum`.

DIR should be memory-backed and have room for a few times the largest snapshot. Python's standard library is enough.
"""
import argparse
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target" / "release"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
# Scenario and the sizes it is measured at; a string or churn key is a file, so fewer of them say the same.
SCENARIOS = {
    "strings": [200_000],
    "hashes": [200_000, 2_000_000],
    "zset": [200_000, 2_000_000],
    "streams": [200_000, 2_000_000],
    "lists": [200_000, 2_000_000],
    "churn": [200_000],
}


def run(command, **options):
    """Wall seconds and peak memory in KiB of a command that must succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    # A file without a CRC footer or the like would end with 1; these files are whole.
    if status != 0:
        sys.exit(f"{command} ended with status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss


def median(runs, prepare, command, **options):
    """Median seconds and largest memory over several runs."""
    results = []
    for _ in range(runs):
        prepare()
        results.append(run(command, **options))
    return statistics.median(seconds for seconds, _ in results), max(memory for _, memory in results)


def remove(*paths):
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def measure(scenario, rows, directory, runs):
    """One line of the table."""
    snapshot, staging, dump = directory / "bench.fsm", directory / "staging.db", directory / "dump"
    archive, copy = directory / "dump.tar", directory / "copy.fsm"
    remove(snapshot, staging, dump, archive, copy)
    run([RELEASE / "generate", scenario, snapshot, "--rows", str(rows)])
    ekvsnap = [RELEASE / "ekvsnap", "--quiet"]
    load = median(runs, lambda: remove(staging), [*ekvsnap, "load", snapshot, "--staging", staging])
    export = median(runs, lambda: remove(dump), [*ekvsnap, "export", staging, "--output", dump])
    decode = median(runs, lambda: remove(dump), [*ekvsnap, "decode", snapshot, "--output", dump])
    subprocess.run(["tar", "cf", archive, "-C", directory, "dump"], check=True)
    tar = median(runs, lambda: remove(dump), ["tar", "xf", archive, "-C", directory])
    cp = median(runs, lambda: remove(copy), ["sh", "-c", f"cp '{snapshot}' '{copy}' && sha256sum '{copy}'"])
    size = snapshot.stat().st_size
    remove(snapshot, staging, dump, archive, copy)
    peak = max(load[1], export[1], decode[1])
    return (
        f"| `{scenario}` | {rows:,} | {size / 1e6:,.0f} MB | {load[0]:.2f} s | {export[0]:.2f} s | {decode[0]:.2f} s "
        f"| {peak / 1024:.0f} MiB | {tar[0]:.2f} s | {cp[0]:.2f} s |"
    )


def machine():
    """What the figures were measured on."""
    model = platform.processor()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, {time.strftime('%Y-%m-%d')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/dev/shm/ekvsnap-bench"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--rows", help="sizes to measure instead of each scenario's own")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()

    subprocess.run(["cargo", "build", "--release", "--workspace", "--quiet"], cwd=ROOT, check=True)
    arguments.dir.mkdir(parents=True, exist_ok=True)
    lines = [
        f"Measured on {machine()}; median of {arguments.runs} runs, output in memory-backed storage.",
        "",
        "| scenario | rows or keys | snapshot | load | export | decode | peak memory | `tar x` of the tree | `cp` + `sha256sum` |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for scenario in arguments.scenarios.split(","):
        sizes = [int(size) for size in arguments.rows.split(",")] if arguments.rows else SCENARIOS[scenario]
        for rows in sizes:
            lines.append(measure(scenario, rows, arguments.dir, arguments.runs))
            print(lines[-1], flush=True)
    shutil.rmtree(arguments.dir)
    table = "\n".join(lines)
    print(table)
    if arguments.write:
        document = ROOT / "docs" / "performance.md"
        before, _, rest = document.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        document.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()
