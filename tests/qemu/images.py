"""The images of the seL4 example, built with the pinned toolchain."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = ROOT / "examples/sel4"
# Whose code is told apart in an image.
CRATES = {"rumpload", "rumpload_base", "rumpload_l4", "rumpload_sel4", "sel4_runtime", "rump", "roxmltree"}
TARGET = "x86_64-unknown-linux-gnu"


class BuildError(Exception):
    """An image could not be built; the text says why."""


def cargo(*arguments, directory):
    """Runs cargo and shows what it says only if it fails."""
    # A runner started by cargo must not hand its own settings on.
    environment = {name: value for name, value in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_TARGET_DIR")}
    command = ["cargo", *arguments]
    done = subprocess.run(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stdout[-8000:]}")


def build(output, *, kernel16=False, conformance=False):
    """Builds all domains and the root image that holds them; returns a copy of it below `output`."""
    # A directory for each choice of features: cargo keeps one result of each package only.
    variant = f"{'sel4-16' if kernel16 else 'sel4-5'}{'-conformance' if conformance else ''}"
    common = ["build", "--quiet", "--release", "--target-dir", str(WORKSPACE / "target" / variant)]
    features = ["--features", "sel4-16"] if kernel16 else []
    for package in ["sel4-host", "sel4-conformance" if conformance else "sel4-rump", "sel4-client"]:
        cargo(*common, "-p", package, *features, directory=WORKSPACE)
    features += ["--features", "conformance"] if conformance else []
    cargo(*common, "-p", "sel4-root", *features, directory=WORKSPACE)
    output.mkdir(parents=True, exist_ok=True)
    image = output / f"root-{variant}"
    shutil.copy(directory(variant) / "root", image)
    return image


def directory(variant):
    """Where the images of a variant are."""
    return WORKSPACE / "target" / variant / TARGET / "release"


def segments(root, name):
    """Bytes of text (with constants) and of data of a domain's image beside the image `root`."""
    file = directory(root.name.removeprefix("root-")) / name
    done = subprocess.run(["size", "-A", file], stdout=subprocess.PIPE, text=True, check=True)
    sizes = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith(".")}
    return sizes.get(".text", 0), sizes.get(".data", 0) + sizes.get(".bss", 0)


def core_text(root):
    """Bytes of code of the core in the image `rump` beside `root`: functions of the crate `rumpload`, and generic ones of others
    that are compiled for its types. What the compiler put inside a function of the core counts, whoever wrote it; the XML parser's
    own functions and the one of the core that holds its body do not, nor do constants."""
    file = directory(root.name.removeprefix("root-")) / "rump"
    listing = subprocess.run(["nm", "--print-size", "--defined-only", file], stdout=subprocess.PIPE, text=True, check=True)
    names = subprocess.run(["c++filt", "-r"], input=listing.stdout, stdout=subprocess.PIPE, text=True, check=True).stdout
    total = 0
    for line in names.splitlines():
        found = re.match(r"[0-9a-f]+ ([0-9a-f]+) [tT] (.*)", line)
        if found and not found[2].endswith("::properties::document") and set(re.findall(r"\b(\w+)(?:\[[0-9a-f]+\])?::", found[2])) & CRATES == {"rumpload"}:
            total += int(found[1], 16)
    return total


def sample_modules(output):
    """Compiles the sample modules below `output` and returns their directory."""
    cargo("run", "--quiet", "-p", "rumpload-test-modules", "--bin", "sample-modules", "--", str(output), directory=ROOT)
    return output


def sha256(path):
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
