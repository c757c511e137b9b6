"""CPU seconds and memory of the processes of a run, servers included, from /proc (Linux)."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    return [pid, *(grandchild for child in children(pid) for grandchild in family(child))]


def named(*names: str) -> list[int]:
    """Processes whose command is one of these (15 characters, as the kernel keeps it)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() in names:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def postgres(database: str) -> list[int]:
    """PostgreSQL's backends for one database, and the processes that work for all of them."""
    shared = ("checkpointer", "background writer", "walwriter", "autovacuum", "logical replication")
    return [pid for pid in named("postgres") if any(word in _title(pid) for word in (f" {database} ", *shared))]


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far, that of finished and awaited children included."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / _TICK


def busy_seconds() -> float:
    """CPU seconds of the whole machine so far, idle and waiting for disks left out, stolen time included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICK


def peak_rss_mb(pids: Iterable[int]) -> float:
    """The largest peak of resident memory among these, in MB."""
    peaks = [0.0]
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        peaks += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return max(peaks)
