"""One run of a virtual machine: what is handed over, how it is watched, what counts as success."""

import subprocess
import tempfile
import time
from pathlib import Path

QEMU = "qemu-system-x86_64"
MEMORY = "256"
# What isa-debug-exit makes of the root task's success: 2 * 0x10 + 1.
EXIT_SUCCESS = 33
SENTINEL = "root: RUMPLOAD-SEL4-OK"
PREFIX = "opt/rumpload/"
# Files of the device besides those handed over.
BUILT_IN_SLOTS = 64
# Time since 1970 that the machine is told, the same in every run: what is measured must not depend on it.
START_TIME = "1700000000"


class Failure(Exception):
    """The run did not end as it should; the text says why, `log` is what the machine printed."""

    def __init__(self, text, log=""):
        super().__init__(text)
        self.log = log


def collect(directory):
    """Paths of the files below a directory of modules, relative to it."""
    directory = Path(directory)
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def command_line(kernel, root, handed, *, count_instructions):
    """QEMU's command line. `handed` are pairs of a name and a file."""
    command = [QEMU, "-accel", "tcg", "-cpu", "qemu64,+rdrand", "-m", MEMORY, "-kernel", kernel, "-initrd", root]
    command += ["-no-reboot", "-monitor", "none", "-display", "none", "-serial", "stdio", "-nic", "none"]
    command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    command += ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm", "-seed", "1"] if count_instructions else []
    command += ["-global", f"fw_cfg_io.x-file-slots={len(handed) + BUILT_IN_SLOTS}"]
    for name, path in handed:
        # A comma in a name would end it.
        command += ["-fw_cfg", f"name={PREFIX}{name},file={str(path).replace(',', ',,')}"]
    return [str(word) for word in command]


def boot(kernel, root, script, *, modules=None, image=None, extra=(), deaths=(), timeout=60, count_instructions=False):
    """Boots `kernel` with `root` and has the client carry out `script` (lines).

    `deaths` are texts, one for each death of the domain with the library, in this order, that the root task has to report;
    any other fails. Returns the lines of the client and the whole log.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "command").write_text("\n".join(script) + "\n")
        (work / "time").write_text(START_TIME)
        handed = [("command", work / "command"), ("time", work / "time"), *extra]
        if image is not None:
            handed.append(("image", image))
        table = []
        for number, path in enumerate(collect(modules) if modules is not None else []):
            table.append(f"{number:04} {path}\n")
            handed.append((f"{number:04}", Path(modules) / path))
        (work / "table").write_text("".join(table))
        handed.append(("table", work / "table"))
        command = command_line(kernel, root, handed, count_instructions=count_instructions)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
                raise Failure(f"no end within {timeout} s", output.decode(errors="replace")) from None
    log = output.decode(errors="replace").replace("\r", "")
    judge(log.splitlines(), process.returncode, deaths, log)
    return [line.removeprefix("client: ") for line in log.splitlines() if line.startswith("client: ")], log


def judge(lines, code, deaths, log):
    """Raises `Failure` unless this is what a successful run leaves."""
    if SENTINEL not in lines:
        raise Failure(f"the machine did not report success (exit code {code})", log)
    if code != EXIT_SUCCESS:
        raise Failure(f"exit code {code} instead of {EXIT_SUCCESS}", log)
    died = [line for line in lines if "died: " in line]
    if len(died) != len(deaths) or any(wanted not in line for wanted, line in zip(deaths, died)):
        raise Failure(f"deaths reported: {died}, wanted: {list(deaths)}", log)
    for line in lines:
        if "panic" in line and not line.startswith("client: failed as it should"):
            raise Failure(f"a panic: {line}", log)


def no_kernel(kernel):
    """Raises `Failure` unless `kernel` is a file that a machine can start: a 32-bit x86 executable."""
    head = Path(kernel).read_bytes()[:20]
    if head[:5] != b"\x7fELF\x01" or head[18:20] != b"\x03\x00":
        raise Failure(f"{kernel} is no kernel for a multiboot loader: not a 32-bit x86 executable")


def stopwatch():
    """Seconds since now, for people."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
