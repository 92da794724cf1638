#!/usr/bin/env python3
"""What the benchmark's numbers are held against, and docs/performance.md made from them.

tests/bench_report.py [docs/bench.json]    prints the page
tests/bench_report.py --check FILE         exits 1 when a ratio target is missed, and says which

Each target was derived on a calm two-core machine: 1,600 tasks/s by `xargs -P2`, 0.85 ms for a spawn, 0.2 ms for an
append and fdatasync. It is kept as a ratio to those floors, which each row measures in its own minute: so it means
the same on another machine. What has no floor to be compared with is shown with its absolute target, and fails nothing.
"""
import json, math, sys

SPAWN_MS, FSYNC_MS, XARGS = 0.85, 0.2, 1600


def floor_ms(row):
    """A spawn, and an append made durable by the leader and by one follower."""
    return row["spawn_ms"] + 2 * row["fsync_ms"]


REFERENCE_MS = SPAWN_MS + 2 * FSYNC_MS


class Target:
    """Of one row at one size (None: at each): `measure` must be at most or at least `bound`."""

    def __init__(self, row, size, text, bound, is_least=False, of="value", is_ratio=True):
        self.row, self.size, self.text, self.bound = row, size, text, bound
        self.is_least, self.of, self.is_ratio = is_least, of, is_ratio

    def measure(self, row, rows):
        if self.of == "floor":
            return row["value"] / floor_ms(row)
        if self.of == "first":
            sizes = [other for other in rows if other["row"] == row["row"]]
            return row["value"] / min(sizes, key=lambda other: other["size"])["value"]
        if self.of == "thousand":
            return row["value"] / next(other["value"] for other in rows if other["row"] == row["row"] and other["size"] == 1000)
        if self.of == "cpu":
            return row["cpu_ms_per_task"] / row["spawn_ms"]
        return row[self.of]

    def is_met(self, measured):
        return measured >= self.bound if self.is_least else measured <= self.bound


def latency(row, size, ms):
    return Target(row, size, f"≤ {ms:g} ms", round(ms / REFERENCE_MS, 2), of="floor")


def rate(row, size, per_s):
    return Target(row, size, f"≥ {per_s}/s", round(per_s / XARGS, 3), is_least=True, of="ratio_to_xargs")


def cpu(row, size, ms):
    return Target(row, size, f"CPU ≤ {ms:g} ms a task", round(ms / SPAWN_MS, 2), of="cpu")


def absolute(row, size, text, bound, of="value", is_least=False):
    return Target(row, size, text, bound, is_least, of, is_ratio=False)


def flat(row):
    """At most twice what the smallest size costs."""
    return Target(row, None, "flat: ≤ 2 × the smallest", 2, of="first")


WAYS = ("file", "postgresql", "mariadb", "sqlite")
PAST = ("list of 50 instances", "failed instances of one workflow", "one instance", "page of instances", "page of an instance", "page of a workflow", "home page")
TARGETS = [
    latency("one task over HTTP, p50", None, 7),
    latency("one task by the command line, p50", None, 20),
    latency("chain, per hop", 100, 3.5),
    rate("fork and join", 1000, 700),
    cpu("fork and join", 1000, 2.5),
    Target("fork and join", 10_000, "≥ 0.9 × the rate of 1,000", 0.9, is_least=True, of="thousand"),
    rate("workflows of a chain of 10", 100, 700),
    cpu("workflows of a chain of 10", 100, 3.5),
    absolute("nodes without a task", 1000, "≥ 15,000/s", 15_000, is_least=True),
    absolute("start-cluster to ready", None, "≤ 1 s", 1000),
    absolute("idle", None, "≤ 1 %", 1),
    absolute("idle", None, "PSS ≤ 60 MiB", 60, of="pss_mib"),
    absolute("idle with schedules", 10_000, "≤ 1.5 %", 1.5),
    absolute("fires due in one second, lag p99", 1000, "≤ 100 ms", 100),
    absolute("fires due in one second, lag p99", 1000, "all ≤ 500 ms", 500, of="all_committed_ms"),
    absolute("load files", 10_000, "≤ 10 s", 10_000),
    absolute("one changed file visible", 10_000, "≤ 1 s", 1000),
    absolute("task output, drained", 100, "≥ 95 MiB/s", 95, is_least=True),
    absolute("tail of a log", 100, "≤ 300 ms", 300),
    absolute("search in a log", 100, "≤ 1 s", 1000),
    *(
        target
        for row in (f"transfer, {source} to {to}" for source in WAYS for to in WAYS if (source, to) != ("file", "file"))
        for target in (Target(row, 1_000_000, "≥ 0.7 × the databases' own tools", 0.7, is_least=True, of="ratio_to_tool"), absolute(row, None, "peak ≤ 100 MiB", 100, of="peak_mib"))
    ),
    absolute(PAST[0], 1_000_000, "leader ≤ 300 MiB", 300, of="leader_mib"),
    *(target for row in PAST for target in (absolute(f"{row}, p50", None, "≤ 50 ms", 50), flat(f"{row}, p50"))),
]

LIMITS = {
    "start-cluster to ready": "an election of the three masters, and the start of the processes one after the other",
    "one task over HTTP, p50": "three entries in a row (run, dispatch, result), each durable on two of three masters, and the spawn under a shim",
    "one task by the command line, p50": "as over HTTP, and the start of the command",
    "chain, per hop": "one entry that is durable on two of three masters, the way to the worker and back, and the spawn under a shim",
    "nodes without a task": "the engine's thread; each entry holds as many steps as came to be meanwhile",
    "fork and join": "processor time: task, shim, worker, and the same entry applied by three masters on the same two cores",
    "workflows of a chain of 10": "processor time, as for forks; fewer results come at the same time, so entries are smaller",
    "idle": "heartbeats between five processes and their timers",
    "idle with schedules": "as idle; a schedule costs nothing until it is due",
    "fires due in one second, lag p99": "the engine's thread and the commits of its entries",
    "load files": "reading, checking and committing every definition; chunks are durable before the version that names them",
    "one changed file visible": "the watcher's wait for a file that is being written",
    "task output, drained": "two copies of every byte: the worker's spool and the master's log store",
    "tail of a log": "an index of lines: only the end is read",
    "search in a log": "reading it once",
}


def checked(rows):
    """Each target with its row and what was measured of it."""
    for target in TARGETS:
        for row in rows:
            if row["row"] == target.row and target.size in (None, row["size"]):
                try:
                    yield target, row, target.measure(row, rows)
                except (KeyError, StopIteration):
                    continue


def missed(rows):
    return [(t, row, found) for t, row, found in checked(rows) if t.is_ratio and not t.is_met(found)]


def say_missed(rows):
    for target, row, found in missed(rows):
        sign = "at least" if target.is_least else "at most"
        print(f"missed: {row['row']}, size {row['size']}: {found:.2f}, {sign} {target.bound} ({target.text} on the machine the target is from)", file=sys.stderr)


def growth(rows):
    """The exponent by which the cost of one row grows with its size, between its two largest sizes."""
    if len(rows) < 2 or rows[-2]["value"] <= 0 or rows[-1]["value"] <= 0:
        return ""
    before, last = rows[-2:]
    costs = [row["size"] / row["value"] if row["unit"].endswith("/s") else row["value"] for row in (before, last)]
    if "per hop" in last["row"]:
        costs = [cost * row["size"] for cost, row in zip(costs, (before, last))]
    return f"{math.log(costs[1] / costs[0]) / math.log(last['size'] / before['size']):.2f}"


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def page(result):
    rows = result["rows"]
    loads = [row["load"] for row in rows]
    yield "# Performance"
    yield ""
    yield "<!-- Made by tests/bench_report.py from bench.json; edit neither. -->"
    yield ""
    yield f"`tests/bench --json` on {result['machine']['cores']} cores, Linux {result['machine']['kernel']}, commit {result.get('commit', 'unknown')}, load {min(loads):.1f} to {max(loads):.1f}. Durable: {result['durable']}."
    yield "Masters, worker, HTTP server, tasks and the client share that machine. Tasks are `exec` nodes that run `/bin/true`, each under a shim of its own."
    yield ""
    yield "A ratio compares a row with what the machine itself did in the same minute: rates with `xargs -P2 -n1 /bin/true`, times with a spawn and two"
    repeated = " Work of up to 1,000 tasks is done three to seven times; the medians are shown." if any("runs" in row for row in rows) else ""
    yield f"appends made durable.{repeated} *Growth* is the exponent of the cost between the two largest sizes: 1 is proportional, 0 is flat."
    yield ""
    yield "| what | size | measured | of the machine | target | met | growth |"
    yield "|---|---|---|---|---|---|---|"
    by_row = {}
    for row in rows:
        by_row.setdefault(row["row"], []).append(row)
    held = list(checked(rows))
    for name, of_row in by_row.items():
        of_row.sort(key=lambda row: row["size"])
        for row in of_row:
            targets = [(target, found) for target, of, found in held if of is row]
            floor = {"tasks/s": lambda: f"{row['ratio_to_xargs']:.2f} × xargs", "rows/s": lambda: f"{row['ratio_to_tool']:.2f} × tool", "ms": lambda: f"{row['value'] / floor_ms(row):.1f} × floor"}.get(row["unit"], lambda: "")()
            more = "".join(f"; {key.replace('_', ' ')} {row[key]:g}" for key in ("cpu_ms_per_task", "pss_mib", "leader_mib", "all_committed_ms", "peak_mib") if key in row)
            texts = "; ".join(target.text for target, _ in targets) or "–"
            met = "; ".join("yes" if target.is_met(found) else f"**no** ({found:.2f} for {target.bound:g})" if target.is_ratio else "**no**" for target, found in targets)
            grows = growth(of_row) if row is of_row[-1] else ""
            yield f"| {name} | {row['size']:,} | {number(row['value'])} {row['unit']}{more} | {floor} | {texts} | {met} | {grows} |"
    yield ""
    yield "## What limits each"
    yield ""
    for name in by_row:
        if name in LIMITS:
            yield f"- **{name}**: {LIMITS[name]}."
    if any(name.startswith("transfer, ") for name in by_row):
        yield "- **transfer**: the slower of the two databases, and below some 100,000 rows the start of the task; beside it the databases' own tools joined by a pipe (`psql \\copy`, `mysql` with `LOAD DATA`, `sqlite3 .import`), so on two cores three processes share what a table to a table takes. Batches of bounded size: memory does not grow with the rows, except within one SQLite file."
    yield "- **lists and pages over the past**: an index per question; nothing counts what it does not show."
    yield ""
    yield "How long the loss of a master is felt is in [guarantees.md](guarantees.md)."


def main():
    paths = [word for word in sys.argv[1:] if not word.startswith("--")]
    with open(paths[0] if paths else "docs/bench.json", encoding="utf-8") as file:
        result = json.load(file)
    if "--check" in sys.argv:
        say_missed(result["rows"])
        sys.exit(bool(missed(result["rows"])))
    print("\n".join(page(result)))


if __name__ == "__main__":
    main()
