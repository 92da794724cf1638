"""The part `transfer` of tests/bench: rows a second of each pair of sources and targets beside the databases' own tools.

PostgreSQL and MariaDB are started for it, on loopback, in a directory of their own, with their defaults; what is not
installed is left out aloud. Both sides of a ratio are measured one after the other, the better of
two each.
"""
import os, shutil, socket, subprocess, tempfile, threading, time
from pathlib import Path

PASSWORD = "bench-password"
COLUMNS = "id bigint, name varchar(40), amount numeric(10,2), at timestamp, note text"
WAYS = ["file", "postgresql", "mariadb", "sqlite"]
# So many rows take minutes: once each.
ONCE_FROM = 10_000_000
# Where the task's process would have been seen once at least.
SAMPLE_S = 0.01


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def as_nobody():
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def own(path):
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)


class Servers:
    """The servers, and the shell commands that read a table to stdout and stdin to a table."""

    def __init__(self):
        # Servers run as a user without rights, who must get there.
        self.home, self.children = tempfile.mkdtemp(prefix="ractorflow-bench-data-"), []
        os.chmod(self.home, 0o755)
        home = self.home
        self.file, self.out = f"{home}/rows.tsv", f"{home}/out.tsv"
        self.links = [f'<link name="sqlite" type="SQLITE" jdbc-url="jdbc:sqlite:{home}/bench.db"/>']
        sqlite = f"sqlite3 {home}/bench.db"
        self.read = {"file": f"cat {self.file}", "sqlite": f"{sqlite} -separator $'\\t' 'select * from s'"}
        self.write = {"file": f"cat > {self.out}", "sqlite": f"{sqlite} -cmd '.mode tabs' '.import /dev/stdin t'"}
        self.client = {"sqlite": lambda sql: f'{sqlite} "{sql}"'}
        self.postgresql()
        self.mariadb()

    def start(self, command, directory, ready):
        log = open(f"{directory}/log", "wb")
        self.children.append(subprocess.Popen(command, cwd=directory, stdout=log, stderr=log, preexec_fn=as_nobody))
        deadline = time.monotonic() + 60
        while subprocess.run(["bash", "-c", ready], capture_output=True).returncode:
            assert time.monotonic() < deadline, Path(f"{directory}/log").read_text()[-2000:]
            time.sleep(0.05)

    def directory(self, name):
        path = f"{self.home}/{name}"
        os.makedirs(path)
        own(path)
        return path

    def postgresql(self):
        bins = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if not bins or not shutil.which("psql"):
            return print("*** NOT MEASURED: postgresql is not installed ***", flush=True)
        directory, port, bin = self.directory("pg"), free_port(), bins[-1].parent
        Path(f"{directory}/pw").write_text(PASSWORD)
        own(f"{directory}/pw")
        init = [bin / "initdb", "-D", f"{directory}/data", "-U", "bench", "-A", "scram-sha-256", "--pwfile", f"{directory}/pw", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(init, cwd=directory, check=True, capture_output=True, preexec_fn=as_nobody)
        psql = f"PGPASSWORD={PASSWORD} psql -q -h 127.0.0.1 -p {port} -U bench postgres"
        self.start([bin / "postgres", "-D", f"{directory}/data", "-h", "127.0.0.1", "-p", str(port), "-k", directory], directory, f"{psql} -c 'select 1'")
        self.links.append(f'<link name="postgresql" type="POSTGRESQL" jdbc-url="jdbc:postgresql://127.0.0.1:{port}/postgres" username="bench" password="{PASSWORD}"/>')
        self.read["postgresql"] = f"{psql} -c '\\copy s to stdout'"
        self.write["postgresql"] = f"{psql} -c '\\copy t from pstdin'"
        self.client["postgresql"] = lambda sql: f'{psql} -c "{sql}"'

    def mariadb(self):
        server, install, client = (shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("mariadbd", "mariadb-install-db", "mariadb"))
        if not (server and install and client):
            return print("*** NOT MEASURED: mariadb-server is not installed ***", flush=True)
        directory, port = self.directory("my"), free_port()
        init = [install, "--no-defaults", f"--datadir={directory}/data", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(init, cwd=directory, check=True, capture_output=True, preexec_fn=as_nobody, env=dict(os.environ, TMPDIR=directory))
        Path(f"{directory}/init.sql").write_text(f"CREATE DATABASE bench;\nCREATE USER bench@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO bench@'127.0.0.1';\n")
        own(f"{directory}/init.sql")
        mysql = f"MYSQL_PWD={PASSWORD} {client} --no-defaults --local-infile=1 --default-character-set=utf8mb4 -h 127.0.0.1 -P {port} -u bench bench"
        command = [server, "--no-defaults", f"--datadir={directory}/data", f"--init-file={directory}/init.sql", f"--socket={directory}/s", f"--port={port}"]
        command += ["--bind-address=127.0.0.1", "--skip-name-resolve", "--local-infile=1", "--character-set-server=utf8mb4", f"--tmpdir={directory}"]
        self.start(command, directory, f"{mysql} -e 'select 1'")
        self.links.append(f'<link name="mariadb" type="MARIADB" jdbc-url="jdbc:mariadb://127.0.0.1:{port}/bench" username="bench" password="{PASSWORD}"/>')
        self.read["mariadb"] = f"{mysql} --batch --quick --skip-column-names -e 'select * from s'"
        self.write["mariadb"] = f'{mysql} -e "load data local infile \'/dev/stdin\' into table t character set utf8mb4"'
        self.client["mariadb"] = lambda sql: f'{mysql} -e "{sql}"'

    def sql(self, way, text):
        if way in self.client:
            subprocess.run(["bash", "-c", self.client[way](text)], check=True, capture_output=True)

    def stop(self):
        for child in self.children:
            child.kill()
            child.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def side(word, way, servers, table):
    if way == "file":
        path = servers.file if word == "source" else servers.out
        return f'<source type="FILE">{path}</source>' if word == "source" else f'<target type="FILE" path="{path}"/>'
    return f'<source type="DB" db-link="{way}">{table}</source>' if word == "source" else f'<target type="DB" db-link="{way}" table="{table}"/>'


class Peak:
    """The most memory that the task's own process had, in MiB."""

    def __init__(self, processes):
        self.mib, self.is_over, self.processes = 0.0, False, processes
        self.thread = threading.Thread(target=self.look)

    def look(self):
        known = set()
        while not self.is_over:
            known.update(known or self.processes())
            for entry in known:
                try:
                    line = next(line for line in (entry / "status").read_text().splitlines() if line.startswith("VmHWM:"))
                    self.mib = max(self.mib, int(line.split()[1]) / 1024)
                except (OSError, StopIteration):
                    continue
            time.sleep(SAMPLE_S)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()


def write_rows(path, n):
    with open(path, "w") as file:
        for i in range(1, n + 1):
            file.write(f"{i}\tcustomer number {i}\t{i % 100000}.25\t2026-11-27 10:00:{i % 60:02}\tdelivered to the back door, paid in full {i * 7919 % 1000003}\n")


def measure(cluster, row, processes, sizes):
    servers = Servers()
    try:
        Path(f"{cluster.home}/conf/db_links.xml").write_text(f"<db-links>{''.join(servers.links)}</db-links>")
        ways = [way for way in WAYS if way in servers.read]
        for n in sizes:
            write_rows(servers.file, n)
            for way in ways:
                servers.sql(way, "drop table if exists s")
                servers.sql(way, f"create table s ({COLUMNS})")
                if way != "file":
                    subprocess.run(["bash", "-c", servers.write[way].replace("copy t", "copy s").replace("stdin t", "stdin s").replace("table t", "table s") + f" < {servers.file}"], check=True)
            for source in ways:
                for target in ways:
                    pair(cluster, row, processes, servers, source, target, n)
    finally:
        servers.stop()


def pair(cluster, row, processes, servers, source, target, n):
    name = f"{source}_to_{target}_{n}"
    body = f'<transfer>{side("source", source, servers, "s")}{side("target", target, servers, "t")}</transfer>'
    cluster.define(name, f'<work-flow name="{name}" schema="1"><start name="s" to="a"/><action name="a">{body}<ok to="end"/></action><end name="end"/></work-flow>')
    tool = f"set -e -o pipefail; {servers.read[source]} | {servers.write[target]}"

    def timed(work):
        servers.sql(target, "drop table if exists t")
        servers.sql(target, f"create table t ({COLUMNS})")
        start = time.monotonic()
        work()
        return time.monotonic() - start

    with Peak(lambda: set(processes(cluster, "\0task\0"))) as peak:
        ours, theirs = [], []
        for _ in range(2 if n < ONCE_FROM else 1):
            ours.append(timed(lambda: cluster.wait(cluster.run(name))))
            theirs.append(timed(lambda: subprocess.run(["bash", "-c", tool], check=True, capture_output=True)))
    ratio = min(theirs) / min(ours)
    row(f"transfer, {source} to {target}", n, n / min(ours), "rows/s", cluster, tool_per_s=round(n / min(theirs)), ratio_to_tool=round(ratio, 2), peak_mib=round(peak.mib, 1))
