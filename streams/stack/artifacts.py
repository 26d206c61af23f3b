"""Java archives from the Maven registry, by a lock file: every archive is checked against its checksum.

`artifacts.lock` has a line for each archive: set, `group:artifact:version[:classifier]:type`, size in bytes, sha256.
A set is installed into `<cache>/servers/<set>-<digest of its lines>`, completely or not at all. So checkouts with other
locks, and two starts at the same time, do not disturb each other.
Jars of a set are put into its folder as they are; a tar.gz is unpacked into it, and so is a jar of `UNPACKED`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from streams.errors import ConfigError, EnvironmentFault
from streams.stack.packages import require_local_packages

LOCK_FILE = Path(__file__).with_name("artifacts.lock")

UNPACKED = frozenset({"mariadb"})
"""Sets whose jars hold the programs of a server, and no classes."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are downloaded and the bytes in total."""


@dataclass(frozen=True)
class Archive:
    """One line of the lock file."""

    set: str
    group: str
    artifact: str
    version: str
    classifier: str
    type: str
    size: int
    sha256: str

    @property
    def coordinate(self) -> str:
        return ":".join(filter(None, (self.group, self.artifact, self.version, self.classifier, self.type)))

    @property
    def file_name(self) -> str:
        return "-".join(filter(None, (self.artifact, self.version, self.classifier))) + f".{self.type}"


def read_lock(file: Path = LOCK_FILE) -> list[Archive]:
    """Every archive of the lock file. Raises ConfigError with the line that cannot be read."""
    archives = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        try:
            name, coordinate, size, sha256 = line.split()
            group, artifact, version, *rest = coordinate.split(":")
            classifier, kind = rest if len(rest) == 2 else ("", rest[0])
            archives.append(Archive(name, group, artifact, version, classifier, kind, int(size), sha256))
        except (ValueError, IndexError):
            raise ConfigError(
                f"{file}, line {number}: cannot be read", remedy="make it again with `make lock`"
            ) from None
    return archives


class ArtifactStore:
    """The servers' archives in one cache folder."""

    def __init__(self, cache: Path, lock: list[Archive] | None = None) -> None:
        self._cache = cache
        self._lock = read_lock() if lock is None else lock

    def path(self, name: str) -> Path:
        """Folder of the set `name`, installed or not."""
        lines = "\n".join(f"{a.coordinate} {a.sha256}" for a in self._set(name))
        return self._cache / "servers" / f"{name}-{hashlib.sha256(lines.encode()).hexdigest()[:12]}"

    def has(self, name: str) -> bool:
        return self.path(name).is_dir()

    def names(self) -> list[str]:
        return sorted({archive.set for archive in self._lock})

    def install(self, name: str, progress: Progress | None = None) -> Path:
        """Download, verify and unpack the set `name` unless it is installed; return its folder.

        Raises EnvironmentFault when the registry cannot be reached, the disk is full or a checksum differs.
        """
        target = self.path(name)
        if target.is_dir():
            return target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _work_folder(target) as work:
                self._fill(self._set(name), work, progress)
                # Another process may have been faster: then its folder, which is equal, stays.
                with contextlib.suppress(OSError):
                    (work / "content").rename(target)
        except OSError as error:
            raise EnvironmentFault(
                f"the servers cannot be installed into {self._cache}: {error.strerror or error}",
                remedy="free some disk space there, or choose another folder with OPSHUB_CACHE_DIR",
            ) from error
        if not target.is_dir():
            raise EnvironmentFault(f"{target} could not be made", remedy="check the permissions of the folder")
        return target

    def _set(self, name: str) -> list[Archive]:
        return [archive for archive in self._lock if archive.set == name]

    def _fill(self, archives: list[Archive], work: Path, progress: Progress | None) -> None:
        content = work / "content"
        content.mkdir()
        total = sum(archive.size for archive in archives)
        done = 0
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="download") as pool:
            jobs = {pool.submit(_download, archive, work / "download"): archive for archive in archives}
            try:
                for job in as_completed(jobs):
                    archive, file = jobs[job], job.result()
                    if archive.type == "tar.gz":
                        with tarfile.open(file) as tar:
                            tar.extractall(content, filter="data")
                    elif archive.set in UNPACKED:
                        _unpack_programs(file, content)
                    else:
                        shutil.move(file, content / archive.file_name)
                    done += archive.size
                    if progress:
                        progress(done, total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _unpack_programs(jar: Path, folder: Path) -> None:
    """Unpack a jar; a jar keeps no rights, so what is in a folder `bin` may be run."""
    with zipfile.ZipFile(jar) as zipped:
        zipped.extractall(folder)
    for program in folder.rglob("bin/*"):
        program.chmod(0o755)


@contextlib.contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    work.chmod(0o755)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(archive: Archive, folder: Path) -> Path:
    """Fetch one archive and compare it with the lock. A failed or broken transfer is tried twice more."""
    fault: Exception | None = None
    for _ in range(3):
        try:
            file = fetch(archive.group, archive.artifact, archive.version, archive.classifier, archive.type, folder)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise
            fault = error
            continue
        if (checksum := sha256_of(file)) == archive.sha256:
            return file
        file.unlink()
        fault = EnvironmentFault(f"its sha256 is {checksum}, the lock has {archive.sha256}")
    raise EnvironmentFault(
        f"{archive.coordinate} could not be fetched: {fault}",
        remedy="check the network (HTTPS_PROXY, REQUESTS_CA_BUNDLE), then run the command again",
    ) from fault


_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors of this machine's disk: another try would end the same."""


def fetch(group: str, artifact: str, version: str, classifier: str, kind: str, folder: Path) -> Path:
    """Download one archive from jgo's registry into `folder`, without a check."""
    require_local_packages("jgo")
    # Imported here: jgo imports requests, which takes half a second that a start with installed servers does not need.
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(resolver=PythonResolver(), repo_cache=folder, local_repos=[], timeout=120)
    wanted = context.project(group, artifact).at_version(version).artifact(classifier, kind)
    if (stale := wanted.cached_path) is not None:
        stale.unlink(missing_ok=True)
    return Path(os.fspath(wanted.resolve()))


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main(arguments: list[str]) -> None:
    """`python -m streams.stack.artifacts <set> <folder>`: put one set of the lock file into a folder (for images)."""
    name, folder = arguments
    with tempfile.TemporaryDirectory() as cache:
        shutil.copytree(ArtifactStore(Path(cache)).install(name), folder, dirs_exist_ok=True)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
