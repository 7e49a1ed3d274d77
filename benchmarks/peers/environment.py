"""An environment of the benchmark's own: the peers beside this checkout, over one torch.

    python benchmarks/peers/environment.py --env FOLDER

Versions of what both need are the checkout's constraints. learn2learn 0.2.0 cannot be installed as a whole: its C files
were made for an older Python, and `import learn2learn` asks for torchvision, gym and more. Its MAML needs none of that,
so the files of it are taken from the published archive, unchanged, and the rest of the package is left out.
"""

import argparse
import subprocess
import tarfile
import tempfile
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PEERS = ("higher==0.2.1", "torchopt==0.7.3", "parallel-metalearn==0.5.6")
LEARN2LEARN = "0.2.0"
MAML_FILES = ("_version.py", "algorithms/maml.py", "algorithms/base_learner.py", "utils/__init__.py")


def create(folder: Path) -> None:
    """Make the environment, or bring an existing one up to date."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    constraints = ["--constraint", str(CHECKOUT / "constraints.txt")]
    _pip(python, "install", *constraints, "setuptools", "--editable", str(CHECKOUT), *PEERS)
    with tempfile.TemporaryDirectory() as place:
        # No build isolation: only the archive is wanted, and asking for its metadata is enough building.
        _pip(
            python, "download", "--no-deps", "--no-binary=:all:", "--no-build-isolation", f"learn2learn=={LEARN2LEARN}",
            "--dest", place,
        )  # fmt: skip
        (archive,) = Path(place).iterdir()
        _unpack(archive, site_packages(python) / "learn2learn")


def site_packages(python: Path) -> Path:
    """Return where the environment keeps its packages."""
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip())


def _unpack(archive: Path, package: Path) -> None:
    with tarfile.open(archive) as packed:
        for name in MAML_FILES:
            member = packed.extractfile(f"learn2learn-{LEARN2LEARN}/learn2learn/{name}")
            if member is None:
                raise SystemExit(f"expected {name} in {archive.name}, got no such file; is it {LEARN2LEARN}?")
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_bytes(member.read())
    for empty in (package, package / "algorithms"):
        (empty / "__init__.py").touch()


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", type=Path, required=True, help="Folder of the environment, outside the checkout.")
    folder = parser.parse_args().env.resolve()
    create(folder)
    print(f"Next: {folder}/bin/python benchmarks/peers/compare.py")


if __name__ == "__main__":
    main()
