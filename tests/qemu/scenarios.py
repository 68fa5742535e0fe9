"""The tests: each boots the system once and compares what the client says with what it should."""

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import images
import machine


@dataclass
class Setup:
    """What a scenario is run with."""

    kernel: Path
    root: Path
    modules: Path
    work: Path
    kernel16: bool


# A tree with an empty file, a file longer than the window between two domains, and nested directories.
TREE = {
    "empty": b"",
    "first": b"hello from a module\n",
    "deep/er/nested": bytes(range(256)) * 3,
    "large": bytes((at * 7 + (at >> 8)) & 0xFF for at in range(200_001)),
}


# Bytes of code that the core may take in an image.
CORE_MOST = 96 << 10

# Answers of the host, from the first request to a new domain on, that faults are tried at.
COLD = 16


def archive(path):
    """Writes `TREE` as a ustar archive."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        seen = set()
        for name, data in TREE.items():
            parts = name.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                directory = "/".join(parts[:depth])
                if directory not in seen:
                    seen.add(directory)
                    info = tarfile.TarInfo(directory)
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(info)
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return path


def expect(found, wanted, log):
    """Raises a failure unless both lists are equal."""
    if found != wanted:
        raise machine.Failure(f"found {found}, wanted {wanted}", log)


def hashes():
    """What walking `TREE` prints."""
    return [f"file {hashlib.sha256(TREE[name]).hexdigest()}  /{name}" for name in sorted(TREE)]


def data(lines):
    """The bytes of the lines with contents."""
    return b"".join(bytes.fromhex(line.removeprefix("data ")) for line in lines if line.startswith("data "))


def files(setup):
    """Autoload, mount, list, read, unmount; errors where there should be some."""
    image = archive(setup.work / "image")
    script = ["expect 0 0", "mount tarfs /mnt 0", "expect 2 1", "walk /mnt", "cat /mnt/large", "stat /mnt/first"]
    script += ["!cat /mnt/absent", "!mount tarfs /mnt 0", "!mount nosuchfs /other 0", "!mount tarfs /other 7"]
    script += ["!mount bad_version /other 0", "!mount missing /other 0", "!mount ../../tarfs /other 0"]
    script += ["expect 2 1", "unmount /mnt", "!walk /mnt/deep", "mount tarfs /mnt 0", "walk /mnt", "unmount /mnt", "status"]
    lines, log = machine.boot(setup.kernel, setup.root, script, modules=setup.modules, image=image)
    expect([line for line in lines if line.startswith("file ")], hashes() * 2, log)
    if data(lines) != TREE["large"]:
        raise machine.Failure("the bytes of a file differ", log)
    print(footprint(setup.root, lines, log))
    print(core_size(setup.root))


def core_size(root):
    """What the core's code takes in the domain with the library; fails if that is too much."""
    size = images.core_text(root)
    if not 0 < size <= CORE_MOST:
        raise machine.Failure(f"the core has {size} bytes of code, {CORE_MOST} are allowed")
    return f"core: {size} bytes of code, at most {CORE_MOST}"


def footprint(root, lines, log):
    """What the domain with the library takes."""
    text, variables = images.segments(root, "rump")
    status = [line for line in lines if line.startswith("modules ")][-1]
    memory = [line.removeprefix("rump: ") for line in log.splitlines() if "module memory" in line][-1]
    return f"footprint: rump domain text {text}, data {variables} bytes; heap {status.split()[-1]} at most; {memory}"


def no_modules(setup):
    """Without modules a mount fails, and says so: they really come from the machine that runs QEMU."""
    empty = setup.work / "empty"
    empty.mkdir()
    _, log = machine.boot(setup.kernel, setup.root, ["!mount tarfs /mnt 0", "expect 0 0"], modules=empty)
    if "tarfs" not in "".join(line for line in log.splitlines() if line.startswith("rump: ")):
        raise machine.Failure("the error does not name the module", log)


def crashes(setup):
    """A module that crashes takes its domain down and nothing else; the next request works."""
    image = archive(setup.work / "image")
    script, deaths = ["mount tarfs /mnt 0", "cat /mnt/first"], []
    for kind, why in [("store", "write to 0x10"), ("divide", "division by zero"), ("jump", "jump to 0x10")]:
        script += [f"!mount crash_{kind}_vfs /crash 0", "greet", "mount tarfs /mnt 0", "cat /mnt/first", "expect 2 1"]
        place = "" if kind == "jump" else f", in crash_{kind}_vfs crash_modcmd+"
        deaths.append(f"domain rump died: {why}{place}")
    script += ["!mount crash_loop_vfs /crash 0", "greet", "expect 0 0", "mount tarfs /mnt 0", "walk /mnt"]
    deaths.append("s, in crash_loop_vfs crash_modcmd+")
    lines, log = machine.boot(setup.kernel, setup.root, script, modules=setup.modules, image=image, deaths=deaths)
    expect([line for line in lines if line.startswith("file ")], hashes(), log)
    expect(data(lines), TREE["first"] * 4, log)


def faults(setup):
    """Every answer of the host goes wrong once, in every way; afterwards all works and nothing is left."""
    image = archive(setup.work / "image")
    kinds = ["fail", "truncate", "garble 3", "garble-window 5", "delay 1"]
    script = [f"each 400 tarfs /mnt /mnt/large {fault}" for fault in kinds]
    script += [f"cold {COLD} crash_store_vfs tarfs /mnt /mnt/large {fault}" for fault in kinds[:3]]
    script += ["mount tarfs /mnt 0", "walk /mnt", "unmount /mnt"]
    deaths = ["write to 0x10, in crash_store_vfs"] * (3 * COLD)
    lines, log = machine.boot(setup.kernel, setup.root, script, modules=setup.modules, image=image, deaths=deaths)
    expect([line for line in lines if line.startswith("file ")], hashes(), log)
    reports = [line for line in lines if line.startswith("faults at ")]
    print("\n".join(reports))
    if len(reports) != len(kinds) + 3:
        raise machine.Failure("not every kind of fault was tried", log)


# The files of the conformance suite, as `src/resource/conformance/mod.rs` says: path and length; then its device.
CONFORMANCE_FILES = [("empty", 0), ("small", 5), ("sub/large", 200_001), ("sub/deep/leaf", 4096)]
CONFORMANCE_DEVICE = 256 << 10


def pattern(file, length):
    """Contents by the suite's rule."""
    return bytes(((at ^ at >> 8 ^ at >> 16) * 7 + file * 37) & 0xFF for at in range(length))


def conformance(setup):
    """The library's conformance suite, inside a domain with the rights of the one with the library."""
    root = images.build(setup.root.parent, kernel16=setup.kernel16, conformance=True)
    files = setup.work / "conformance"
    for number, (path, length) in enumerate(CONFORMANCE_FILES):
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_bytes(pattern(number, length))
    device = setup.work / "device"
    device.write_bytes(pattern(len(CONFORMANCE_FILES), CONFORMANCE_DEVICE))
    _, log = machine.boot(setup.kernel, root, ["ping"], modules=files, image=device)
    passed = [line.split()[-2] for line in log.splitlines() if line.startswith("rump: conformance: ")]
    expect(passed, ["memory", "store", "block", "console", "clock", "entropy", "exhaustion"], log)


def wrong_kernel(setup):
    """What is no kernel is refused."""
    for name, contents in [("empty", b""), ("text", b"no kernel"), ("elf", b"\x7fELF\x01" + bytes(40))]:
        path = setup.work / f"kernel-{name}"
        path.write_bytes(contents)
        try:
            machine.no_kernel(path)
        except machine.Failure:
            continue
        raise machine.Failure(f"{name} was taken for a kernel")


ALL = [wrong_kernel, files, no_modules, crashes, faults, conformance]
