"""What /proc tells of a process: CPU, wake-ups, memory, bytes written."""
import os


def _fields(pid, name):
    with open("/proc/%d/%s" % (pid, name)) as lines:
        return dict(line.split(":", 1) for line in lines)


def cpu_seconds(pid):
    """User and system time of all threads that live, to the nanosecond."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task)) as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def wakeups(pid):
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        total += int(_fields(pid, "task/%s/status" % task)["voluntary_ctxt_switches"])
    return total


def memory(pid, name):
    """RssAnon, VmHWM …, in MiB."""
    return int(_fields(pid, "status")[name].split()[0]) / 1024


def written(pid):
    return int(_fields(pid, "io")["write_bytes"])


def machine():
    with open("/proc/meminfo") as lines:
        total = int(next(lines).split()[1])
    return {"cores": os.cpu_count(), "memory_gib": round(total / 2**20), "kernel": os.uname().release,
            "load": os.getloadavg()[0]}
