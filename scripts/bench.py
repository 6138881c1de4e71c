#!/usr/bin/env python3
"""Measure whole runs of ekvsnap and write the tables and the chart of docs/performance.md.

  scripts/bench.py [--dir DIR] [--runs N] [--scenarios a,b] [--large] [--peer PATH] [--write]
  scripts/bench.py --resume [--dir DIR] [--runs N] [--scenarios a,b] [--write]
  scripts/bench.py --encrypted [--dir DIR] [--runs N] [--scenarios a,b] [--write]

Builds the release binaries, makes each scenario with the project's own generator, and measures whole processes: wall
time and peak memory (maximum resident set). What ekvsnap is compared with is measured between its own runs, one of
each in every round, and a ratio is the median of the ratios of the rounds: a machine that gets slower or faster
meanwhile does so for both. Before each program as many bytes as it may write are written and removed: the first touch
of memory that a virtual machine has not used for a while costs several times what the programs do with it.

  tar x             of the same tree
  cp + sha256sum    of the snapshot
  floor             one thread that puts as many rows of the same size through SQLite and back (testkit/src/floor.rs)
  peer              another decoder, called PATH --input FILE --output DIR, on a snapshot without header and footer;
                    ekvsnap decodes the same file beside it

With --resume, what one kill costs: a run is killed after half the time of the undisturbed run before it, and the same
command run again. Both together are divided by the mean of that undisturbed run and of another one after them.

With --encrypted, what decrypting costs: each round loads and exports a snapshot in clear, and the same one with every
value encrypted (testkit/src/bin/encrypt.rs). Loads of less than a second, which vary most, take five turns a round.

DIR should be memory-backed and have room for a few times the largest snapshot. Python's standard library is enough.
"""
import argparse
import contextlib
import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
EKVSNAP = [RELEASE / "ekvsnap", "--quiet"]
DOCUMENT, CHART = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"

# Scenario and size. A string, churn key or item is a file, so fewer of them say the same; an S3 object has 8 MiB.
SCENARIOS = {
    "strings": 200_000,
    "blobs": 500,
    "hashes": 2_000_000,
    "zset": 2_000_000,
    "streams": 2_000_000,
    "lists": 2_000_000,
    "churn": 200_000,
    "dynamodb": 200_000,
    "s3": 256,
    "sqs": 1_000_000,
}
SCALED, TIMES = ["hashes", "zset", "streams", "lists"], 10
# Rows of the file, for scenarios of which rows a second are asked.
ROWS_PER_KEY = {"churn": 12}
# What may not be exceeded: (ours, reference) and the greatest ratio.
BARS = {
    "strings": ("decode", "tar", 1.0),
    "blobs": ("decode", "copy", 1.3),
    "s3": ("decode", "copy", 1.3),
    "hashes": ("load + export", "floor", 1.25),
    "zset": ("load + export", "floor", 1.25),
}
# What one kill may cost, and where that is asked.
RESUMED, RESUME_BAR = ["strings", "blobs", "hashes", "zset"], 1.15
# What a load of encrypted values may cost of one in clear, and where that is asked.
ENCRYPTED, ENCRYPTED_BAR = ["strings", "blobs", "hashes", "s3", "churn"], 1.3
# How often a load of less than a second takes its turn in a round.
SHORT_LOADS = 5
NAMES = {"tar": "`tar x`", "copy": "`cp` + `sha256sum`", "floor": "floor", "peer": "peer"}
SCRIPT_MEMORY_KIB = 20 << 10
MEMORY_BAR_MIB, LARGE_BAR, CHURN_BAR = 64, 11, 8e6


def run(command, kill_after=None):
    """Wall seconds, CPU seconds and peak memory in KiB of a command that must succeed; or, with a time to kill it after,
    must not: None if it ended before."""
    # A process inherits the peak of the one that starts it, so this one has to stay small: it never lists a tree.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if own > SCRIPT_MEMORY_KIB:
        sys.exit(f"this script has come to hold {own} KiB, which would hide the peak memory of what it measures")
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if kill_after is not None and status == 0:
        return None
    if status != (0 if kill_after is None else signal.SIGKILL):
        sys.exit(f"{command} ended with status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def remove(*paths):
    subprocess.run(["rm", "-rf", *paths], check=True)


def size_of(path):
    """Bytes of a file, or of all files below a directory."""
    if path.is_file():
        return path.stat().st_size
    with os.scandir(path) as entries:
        return sum(size_of(pathlib.Path(entry.path)) for entry in entries)


def warm(directory, size):
    """Touches this many bytes of the memory behind the directory."""
    ballast, mebibytes = directory / "ballast", max(1, size >> 20)
    run(["dd", "if=/dev/zero", f"of={ballast}", "bs=1M", f"count={mebibytes}", "status=none"])
    remove(ballast)


class Results:
    """Wall and CPU seconds of each program in each round, and its peak memory."""

    def __init__(self, scenario, rows, directory):
        self.scenario, self.rows, self.directory, self.snapshot = scenario, rows, directory, 0
        self.seconds, self.cpu, self.memory = {}, {}, {}

    def measure(self, name, command, *outputs):
        """Runs the command once; what it will write is removed before."""
        remove(*outputs)
        # A database or a tree has at most about the size of the snapshot.
        warm(self.directory, self.snapshot)
        seconds, cpu, memory = run(command)
        self.seconds.setdefault(name, []).append(seconds)
        self.cpu.setdefault(name, []).append(cpu)
        self.memory[name] = max(memory, self.memory.get(name, 0))

    def of(self, name):
        """The seconds of each round; `a + b` for the sum of two programs."""
        parts = [self.seconds.get(part) for part in name.split(" + ")]
        return [sum(times) for times in zip(*parts)] if all(parts) else None

    def median(self, name):
        times = self.of(name)
        return statistics.median(times) if times else None

    def ratio(self, ours, reference):
        """The median of the ratios of the rounds; None if either was not measured."""
        if not self.of(ours) or not self.of(reference):
            return None
        return statistics.median(a / b for a, b in zip(self.of(ours), self.of(reference)))

    def cpu_median(self):
        """CPU seconds of load and export, which other work on the machine changes less than wall time."""
        return statistics.median(self.cpu["load"]) + statistics.median(self.cpu["export"])

    def peak(self):
        """MiB of the greediest of our own commands."""
        return max(self.memory.get(name, 0) for name in ("load", "export", "decode")) / 1024


def measure(scenario, rows, directory, runs, compare, peer):
    """All programs on one scenario. Without `compare` only the two halves of ekvsnap are run."""
    results = Results(scenario, rows, directory)
    snapshot, plain = directory / "bench.fsm", directory / "plain.fsm"
    staging, dump, other = directory / "staging.db", directory / "dump", directory / "peer"
    archive, copy = directory / "dump.tar", directory / "copy.fsm"
    floor, floor_file = directory / "floor.db", directory / "floor.json"
    run([RELEASE / "generate", scenario, snapshot, "--rows", str(rows)])
    results.snapshot = size_of(snapshot)
    if compare and peer:
        run([RELEASE / "generate", scenario, plain, "--rows", str(rows), "--plain"])
    for turn in range(runs):
        results.measure("load", [*EKVSNAP, "load", snapshot, "--staging", staging], staging)
        results.measure("export", [*EKVSNAP, "export", staging, "--output", dump], dump)
        if not compare:
            continue
        if turn == 0:
            run(["tar", "cf", archive, "-C", directory, "dump"])
            written = size_of(dump)
        if BARS.get(scenario, ("", "", 0))[1] == "floor":
            command = [RELEASE / "floor", scenario, floor, floor_file, "--rows", str(rows), "--bytes", str(written)]
            results.measure("floor", command, floor, floor_file)
            remove(floor, floor_file)
        results.measure("decode", [*EKVSNAP, "decode", snapshot, "--output", dump], dump)
        results.measure("tar", ["tar", "xf", archive, "-C", directory], dump)
        results.measure("copy", ["sh", "-c", f"cp '{snapshot}' '{copy}' && sha256sum '{copy}'"], copy)
        remove(copy)
        if peer:
            results.measure("plain", [*EKVSNAP, "decode", plain, "--output", dump], dump)
            remove(dump)
            results.measure("peer", [peer, "--input", plain, "--output", other], other)
            remove(other)
    remove(snapshot, plain, staging, dump, archive, copy)
    return results


def measure_resume(scenario, rows, directory, runs):
    """For decode and export, medians: seconds undisturbed, until the kill, of the run after it; ratios of wall and CPU time."""
    snapshot, staging, dump = directory / "bench.fsm", directory / "staging.db", directory / "dump"
    beside = [directory / f"dump{suffix}" for suffix in (".partial", ".staging.db")]
    run([RELEASE / "generate", scenario, snapshot, "--rows", str(rows)])
    run([*EKVSNAP, "load", snapshot, "--staging", staging])
    commands = {
        "decode": [*EKVSNAP, "decode", snapshot, "--output", dump],
        "export": [*EKVSNAP, "export", staging, "--output", dump],
    }
    results = {}
    for name, command in commands.items():
        rounds, whole = [], run(command)
        remove(dump)
        while len(rounds) < runs:
            killed = run(command, kill_after=whole[0] / 2)
            # None: the machine has become so much faster that there was nothing left to kill.
            again = killed and run(command)
            remove(dump, *beside)
            after = run(command)
            remove(dump)
            if killed:
                ratios = [2 * (killed[kind] + again[kind]) / (whole[kind] + after[kind]) for kind in (0, 1)]
                rounds.append((whole[0], killed[0], again[0], *ratios))
            whole = after
        results[name] = [statistics.median(column) for column in zip(*rounds)]
    remove(snapshot, staging)
    return results


def measure_encrypted(scenario, rows, directory, runs):
    """Results with the programs `load`, `export` and the same `encrypted`."""
    results = Results(scenario, rows, directory)
    snapshot, sealed = directory / "bench.fsm", directory / "encrypted.fsm"
    staging, dump, sidecar, kek = (directory / name for name in ("staging.db", "dump", "keys.json", "kek.bin"))
    run([RELEASE / "generate", scenario, snapshot, "--rows", str(rows)])
    run([RELEASE / "encrypt", snapshot, sealed, directory])
    results.snapshot = size_of(sealed)
    keys = ["--keys", sidecar, "--kek-file", kek]
    kinds = (("", snapshot), (" encrypted", sealed))

    def load(kind, file):
        results.measure(f"load{kind}", [*EKVSNAP, "load", file, "--staging", staging, *keys], staging)

    for _ in range(runs):
        for kind, file in kinds:
            load(kind, file)
            results.measure(f"export{kind}", [*EKVSNAP, "export", staging, "--output", dump, *keys], dump)
        remove(dump)
        if results.median("load") < 1:
            for kind, file in (SHORT_LOADS - 1) * kinds:
                load(kind, file)
    remove(snapshot, sealed, staging, dump, sidecar, kek)
    return results


def encrypted_table(measured):
    """The Markdown table of what decrypting costs."""
    lines = [
        "| scenario | rows or keys | snapshot | command | in clear | encrypted | encrypted ÷ in clear | CPU time | peak memory | at most | |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in measured:
        for command in ("load", "export"):
            sealed = f"{command} encrypted"
            ratio = one.ratio(sealed, command)
            cpu = statistics.median(one.cpu[sealed]) / statistics.median(one.cpu[command])
            cells = [f"`{one.scenario}`", f"{one.rows:,}", f"{one.snapshot / 1e6:,.0f} MB", f"`{command}`"]
            cells += [f"{one.median(name):.2f} s" for name in (command, sealed)]
            cells += [f"{ratio:.2f}", f"{cpu:.2f}", f"{one.memory[sealed] / 1024:.0f} MiB"]
            cells += [f"{ENCRYPTED_BAR}", verdict(ratio <= ENCRYPTED_BAR)] if command == "load" else ["", ""]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def resume_table(measured):
    """The Markdown table of what one kill costs."""
    lines = [
        "| scenario | rows or keys | command | undisturbed | killed after | run again | all ÷ undisturbed | CPU time | at most | |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for scenario, rows, results in measured:
        for command, (whole, killed, again, ratio, cpu) in results.items():
            cells = [f"`{scenario}`", f"{rows:,}", f"`{command}`"]
            cells += [f"{seconds:.2f} s" for seconds in (whole, killed, again)]
            cells += [f"{ratio:.2f}", f"{cpu:.2f}", f"{RESUME_BAR}", verdict(ratio <= RESUME_BAR)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value, form):
    return "" if value is None else form.format(value)


def verdict(met):
    return "met" if met else "**missed**"


def tables(small, measured, large, peer):
    """The Markdown tables."""
    lines = [
        "| scenario | rows or keys | snapshot | load | export | decode | peak memory | `tar x` | `cp` + `sha256sum` "
        "| floor |" + (" peer | its peak memory |" if peer else ""),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |" + (" ---: | ---: |" if peer else ""),
    ]
    for one in [*small, *measured, *large]:
        cells = [f"`{one.scenario}`", f"{one.rows:,}", f"{one.snapshot / 1e6:,.0f} MB"]
        cells += [cell(one.median(name), "{:.2f} s") for name in ("load", "export", "decode")]
        cells += [f"{one.peak():.0f} MiB"]
        cells += [cell(one.median(name), "{:.2f} s") for name in ("tar", "copy", "floor")]
        if peer:
            memory = one.memory.get("peer")
            cells += [cell(one.median("peer"), "{:.2f} s"), cell(memory and memory / 1024, "{:.0f} MiB")]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| scenario | ours ÷ `tar x` | ours ÷ (`cp` + `sha256sum`) | (load + export) ÷ floor |"
        + (" peer ÷ ours |" if peer else "")
        + " at most | |",
        "| --- | ---: | ---: | ---: |" + (" ---: |" if peer else "") + " ---: | --- |",
    ]
    for one in measured:
        if not one.of("decode"):
            continue
        ratios = [one.ratio("decode", "tar"), one.ratio("decode", "copy"), one.ratio("load + export", "floor")]
        cells = [f"`{one.scenario}`", *(cell(ratio, "{:.2f}") for ratio in ratios)]
        if peer:
            cells.append(cell(one.ratio("peer", "plain"), "{:.1f}"))
        if one.scenario in BARS:
            ours, reference, most = BARS[one.scenario]
            cells += [f"{most} × {NAMES[reference]}", verdict(one.ratio(ours, reference) <= most)]
        else:
            cells += ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| what | measured | bar | |", "| --- | ---: | ---: | --- |"]
    peak = max(one.peak() for one in [*small, *measured, *large])
    lines.append(f"| peak memory, every run | {peak:.0f} MiB | {MEMORY_BAR_MIB} MiB | {verdict(peak <= MEMORY_BAR_MIB)} |")
    for one in measured:
        if one.scenario in ROWS_PER_KEY:
            rate = one.rows * ROWS_PER_KEY[one.scenario] / one.median("load")
            lines.append(
                f"| `{one.scenario}`, rows a second through `load` | {rate / 1e6:.1f} M | {CHURN_BAR / 1e6:.0f} M "
                f"| {verdict(rate >= CHURN_BAR)} |"
            )
    tenth = {one.scenario: one for one in measured}
    for one in large:
        if one.scenario in tenth:
            ratio = one.median("load + export") / tenth[one.scenario].median("load + export")
            cpu = one.cpu_median() / tenth[one.scenario].cpu_median()
            lines.append(
                f"| `{one.scenario}`, load and export of {TIMES} times the rows | {ratio:.1f} × (CPU {cpu:.1f} ×) | {LARGE_BAR} × "
                f"| {verdict(ratio <= LARGE_BAR)} |"
            )
    return "\n".join(lines)


def chart(measured):
    """A bar per program and scenario; an SVG without fonts or scripts of its own, readable on light and dark."""
    shown = [("load + export", "load, then export"), ("decode", "decode"), ("tar", "tar x"),
             ("copy", "cp + sha256sum"), ("floor", "floor")]  # fmt: skip
    groups = [one for one in measured if one.of("decode")]
    longest = max(one.median(name) or 0 for one in groups for name, _ in shown)
    left, width, bar, gap, top = 90, 520, 13, 16, 44
    parts, y = [], top
    for one in groups:
        present = [(kind, one.median(name)) for kind, (name, _) in enumerate(shown) if one.of(name)]
        middle = y + len(present) * bar / 2
        parts.append(f'<text x="{left - 8}" y="{middle:.0f}" text-anchor="end" dy=".35em">{one.scenario}</text>')
        for kind, seconds in present:
            length = seconds / longest * width
            parts.append(f'<rect class="k{kind}" x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}"/>')
            parts.append(f'<text class="n" x="{left + length + 5:.1f}" y="{y + bar - 3}">{seconds:.2f} s</text>')
            y += bar
        y += gap
    legend, x = [], left
    for kind, (_, label) in enumerate(shown):
        legend.append(f'<rect class="k{kind}" x="{x}" y="14" width="11" height="11"/>')
        legend.append(f'<text class="n" x="{x + 16}" y="24">{label}</text>')
        x += 38 + 7 * len(label)
    style = (
        "text{font:13px system-ui,sans-serif;fill:#24292f}.n{font-size:11px}"
        ".k0{fill:#0969da}.k1{fill:#54aeff}.k2{fill:#bf8700}.k3{fill:#8250df}.k4{fill:#8c959f}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.k0{fill:#388bfd}.k1{fill:#79c0ff}.k2{fill:#d29922}"
        ".k3{fill:#a371f7}.k4{fill:#6e7681}}"
    )
    sizes = ", ".join(f"{one.scenario} {one.rows:,}" for one in groups)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 60} {y}" role="img">',
        f"<title>Seconds per run, shorter is better: {sizes} rows or keys</title>",
        f"<style>{style}</style>",
        *legend,
        *parts,
        "</svg>\n",
    ])  # fmt: skip


def machine():
    """What the figures were measured on."""
    model = platform.processor()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, {time.strftime('%Y-%m-%d')}"


def put_into_document(section, text):
    """Replaces what stands between the two marks of a section."""
    begin, end = f"<!-- {section}:begin -->", f"<!-- {section}:end -->"
    before, _, rest = DOCUMENT.read_text().partition(begin)
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/dev/shm/ekvsnap-bench"))
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--scenarios", help=f"of {', '.join(SCENARIOS)} (default: all that are meant)")
    parser.add_argument("--large", action="store_true", help=f"also {', '.join(SCALED)} at {TIMES} times the rows")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--resume", action="store_true", help="only what one kill costs")
    only.add_argument("--encrypted", action="store_true", help="only what decrypting costs")
    parser.add_argument("--peer", type=pathlib.Path, help="another decoder to compare with")
    parser.add_argument("--write", action="store_true", help="put tables and chart into docs/")
    arguments = parser.parse_args()

    default = RESUMED if arguments.resume else ENCRYPTED if arguments.encrypted else SCENARIOS
    scenarios = arguments.scenarios.split(",") if arguments.scenarios else list(default)
    unknown = [name for name in scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    peer = arguments.peer and arguments.peer.resolve()
    subprocess.run(["cargo", "build", "--release", "--workspace", "--quiet"], cwd=ROOT, check=True)
    arguments.dir.mkdir(parents=True, exist_ok=True)
    small, measured, large, resumed, encrypted, loads = [], [], [], [], [], [os.getloadavg()[0]]
    plan = [(name, SCENARIOS[name] // TIMES, small) for name in scenarios if name in SCALED]
    plan += [(name, SCENARIOS[name], measured) for name in scenarios]
    if arguments.large:
        plan += [(name, TIMES * SCENARIOS[name], large) for name in scenarios if name in SCALED]
    if arguments.resume:
        plan = [(name, SCENARIOS[name], resumed) for name in scenarios]
    if arguments.encrypted:
        plan = [(name, SCENARIOS[name], encrypted) for name in scenarios]
    for scenario, rows, results in plan:
        print(f"{scenario}, {rows:,} …", file=sys.stderr, flush=True)
        if results is resumed:
            results.append((scenario, rows, measure_resume(scenario, rows, arguments.dir, arguments.runs)))
        elif results is encrypted:
            results.append(measure_encrypted(scenario, rows, arguments.dir, arguments.runs))
        else:
            results.append(measure(scenario, rows, arguments.dir, arguments.runs, results is measured, peer))
        loads.append(os.getloadavg()[0])
    # Only if nothing else lies in it.
    with contextlib.suppress(OSError):
        arguments.dir.rmdir()

    if arguments.resume:
        section, text = "resume", resume_table(resumed)
    elif arguments.encrypted:
        section, text = "encrypted", encrypted_table(encrypted)
    else:
        section, text = "bench", tables(small, measured, large, peer)
    # A load of more than one or two, which the measuring itself makes, says that something else was running.
    busy = f"load average {min(loads):.1f} to {max(loads):.1f}"
    how = f"medians of {arguments.runs} rounds, all files in memory-backed storage"
    text = f"Measured on {machine()}, {busy}; {how}.\n\n{text}"
    print(text)
    if arguments.write:
        put_into_document(section, text)
        if section == "bench":
            CHART.write_text(chart(measured))


if __name__ == "__main__":
    main()
