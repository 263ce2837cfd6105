"""The file system: `python -m tests.stand_ins.gcsfuse.file_system OBJECTS MOUNTPOINT`.

Each rule names its source: paths below https://github.com/GoogleCloudPlatform/gcsfuse at commit 7b39292 (August 2026).
Where gcsfuse leaves a choice, this is the stricter one.
"""

import errno
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from stat import S_IFDIR, S_IFREG
from typing import Any

from mfusepy import FUSE, FuseOSError, Operations, fuse_get_context

from tests.stand_ins.gcsfuse.faults import Fault, Faults


def parent_of(path: str) -> str:
    return str(PurePosixPath(path).parent)


class Staged:
    """What a process of this machine writes: the content that the next flush makes an object of."""

    def __init__(self, content: bytes, existing: bool) -> None:
        self.content, self.existing, self.dirty, self.handles = bytearray(content), existing, not existing, 0


class Bucket(Operations):
    """The operations.

    `link` and `symlink` are left out: ENOSYS, which newer kernels turn into EPERM.
    Source for links: CreateHardLink in internal/fs/local_modifications_test.go. gcsfuse has symbolic links; other
    mounted buckets do not (awslabs/mountpoint-s3, doc/SEMANTICS.md).

    `lock` and `flock` are left out too, as gcsfuse leaves them out: the kernel then locks within this mount, and nobody
    on another machine notices. Source: no SetLk in internal/fs/fs.go.

    Args:
        objects: The folder of the objects.
    """

    use_ns = True

    def __init__(self, objects: Path) -> None:
        self.objects = objects
        # docs/semantics.md, "Using --implicit-dirs flag": a folder that no object defines is not there; when the last
        # file is removed, "it will appear as if the file system is completely empty".
        self.empty_folders: set[str] = set()
        self.staged: dict[str, Staged] = {}
        self.handles: dict[int, tuple[str, Staged | None, int]] = {}
        self.last_handle = 0
        self.faults, self.delay = Faults(), 0.0
        self.lock_of_all = threading.RLock()

    def init(self, path: str) -> None:
        print("mounted", flush=True)

    # Faults ---------------------------------------------------------------------------------------------------------

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> int:
        with self.lock_of_all:
            if name == "user.faults":
                self.faults = Faults([Fault(**one) for one in json.loads(value)])
            elif name == "user.delay":
                self.delay = float(value)
            elif name == "user.forget":
                self.empty_folders.clear()
            else:
                raise FuseOSError(errno.ENOTSUP)
        return 0

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        if name != "user.faults":
            raise FuseOSError(errno.ENODATA)
        return json.dumps(self.faults.left()).encode()

    def happen(self, operation: str, path: str) -> bool:
        """Lets the fault happen that is due, and returns whether the caller was killed.

        gcsfuse maps what it cannot retry to EIO: DefaultFSError in internal/fs/wrappers/error_mapping.go.
        """
        time.sleep(self.delay)  # each operation is a request over a network
        fault = self.faults.due(operation, path.lstrip("/"))
        if fault is None:
            return False
        if not fault.kill:
            raise FuseOSError(errno.EIO)
        os.kill(fuse_get_context()[2], signal.SIGKILL)
        return True

    # Names ----------------------------------------------------------------------------------------------------------

    def object_of(self, path: str) -> Path:
        return self.objects / path.lstrip("/")

    def is_file(self, path: str) -> bool:
        return path in self.staged or self.object_of(path).is_file()

    def is_folder(self, path: str) -> bool:
        prefix = f"{path.rstrip('/')}/"
        return (
            path == "/"
            or path in self.empty_folders
            or self.object_of(path).is_dir()
            or any(name.startswith(prefix) for name in (*self.staged, *self.empty_folders))
        )

    def require_folder(self, path: str) -> None:
        if not self.is_folder(path):
            raise FuseOSError(errno.ENOENT)

    def children(self, path: str) -> set[str]:
        prefix = f"{path.rstrip('/')}/"
        found = {
            name[len(prefix) :].partition("/")[0]
            for name in (*self.staged, *self.empty_folders)
            if name.startswith(prefix)
        }
        with suppress(FileNotFoundError, NotADirectoryError):
            found |= {one.name for one in self.object_of(path).iterdir()}
        return found

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        with self.lock_of_all:
            if path is None:  # it was replaced or deleted while it is open
                path = self.opened(fh)
            self.happen("getattr", path)
            # docs/semantics.md, "Permissions and ownership": files 0644, folders 0755; chmod is silently ignored.
            owner = {"st_uid": os.getuid(), "st_gid": os.getgid(), "st_nlink": 1}
            if path in self.staged:
                return {"st_mode": S_IFREG | 0o644, "st_size": len(self.staged[path].content), **owner}
            if self.object_of(path).is_file():
                found = self.object_of(path).stat()
                times = {f"st_{one}time": found.st_mtime_ns for one in "amc"}
                return {"st_mode": S_IFREG | 0o644, "st_size": found.st_size, **times, **owner}
            self.require_folder(path)
            return {"st_mode": S_IFDIR | 0o755, **owner}

    def readdir(self, path: str | None, fh: int) -> Iterator[str]:
        if path is None:  # it was forgotten while it is open
            return iter(())
        with self.lock_of_all:
            self.happen("readdir", path)
            self.require_folder(path)
            return iter([".", "..", *sorted(self.children(path))])

    def mkdir(self, path: str, mode: int) -> int:
        with self.lock_of_all:
            self.happen("mkdir", path)
            self.require_folder(parent_of(path))
            if self.is_file(path) or self.is_folder(path):
                raise FuseOSError(errno.EEXIST)
            self.empty_folders.add(path)
        return 0

    def rmdir(self, path: str) -> int:
        with self.lock_of_all:
            self.require_folder(path)
            if self.children(path):
                raise FuseOSError(errno.ENOTEMPTY)
            self.empty_folders.discard(path)
        return 0

    def unlink(self, path: str) -> int:
        with self.lock_of_all:
            self.happen("unlink", path)
            if not self.is_file(path):
                raise FuseOSError(errno.ENOENT)
            self.staged.pop(path, None)
            self.object_of(path).unlink(missing_ok=True)
            self.forget_parents(path)
        return 0

    def forget_parents(self, path: str) -> None:
        """A folder goes with its last object; the bucket itself stays."""
        for parent in Path(path).parents:
            if str(parent) == "/":
                return
            with suppress(OSError):
                self.object_of(str(parent)).rmdir()
            if not self.children(str(parent)):
                self.empty_folders.discard(str(parent))

    def rename(self, old: str, new: str) -> int:
        with self.lock_of_all:
            self.happen("rename", old)
            self.require_folder(parent_of(new))
            if self.is_file(old):
                # renameFile in internal/fs/fs.go: pending writes are flushed, the object is cloned, the old deleted.
                if old in self.staged:
                    self.put(old)
                    self.staged.pop(old)
                content = self.object_of(old).read_bytes()
                self.write_object(new, content)
                self.object_of(old).unlink()
                self.forget_parents(old)
                return 0
            self.require_folder(old)
            if any(name.startswith(f"{old}/") for name in self.staged):
                # ensureNoLocalFilesInDirectory in internal/fs/fs.go.
                raise FuseOSError(errno.ENOTSUP)
            if self.children(old):
                # renameNonHierarchicalDir in internal/fs/fs.go; rename-dir-limit is 0 by default (cfg/params.yaml).
                raise FuseOSError(errno.EMFILE)
            self.empty_folders.discard(old)
            self.empty_folders.add(new)
        return 0

    # Contents -------------------------------------------------------------------------------------------------------

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        with self.lock_of_all:
            self.happen("create", path)
            self.require_folder(parent_of(path))
            # docs/semantics.md, Staged Writes, Notes: since 1.2.0 no object is created before the file is closed.
            self.staged[path] = Staged(b"", existing=False)
            return self.handle(path, self.staged[path])

    def open(self, path: str, flags: int) -> int:
        with self.lock_of_all:
            self.happen("open", path)
            if not self.is_file(path):
                raise FuseOSError(errno.ENOENT)
            if flags & os.O_ACCMODE == os.O_RDONLY:
                return self.handle(path, None)
            if path not in self.staged:
                content = self.object_of(path).read_bytes()
                self.staged[path] = Staged(content, existing=bool(content))
            if flags & os.O_TRUNC:
                self.clear(self.staged[path])
            return self.handle(path, self.staged[path])

    def handle(self, path: str, staged: Staged | None) -> int:
        self.last_handle += 1
        self.handles[self.last_handle] = (path, staged, self.generation(path))
        if staged is not None:
            staged.handles += 1
        return self.last_handle

    def generation(self, path: str) -> int:
        """Tells an object from another of the same name; 0 where there is none yet."""
        with suppress(FileNotFoundError):
            return self.object_of(path).stat().st_ino
        return 0

    def opened(self, fh: int | None) -> str:
        """The path of an open file.

        docs/semantics.md, "Stale File Handle Errors": the object was replaced or deleted while it is read.
        """
        path, staged, generation = self.handles[fh or 0]
        if staged is None and path not in self.staged and generation not in (0, self.generation(path)):
            raise FuseOSError(errno.ESTALE)
        return path

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        with self.lock_of_all:
            path = self.opened(fh)
            self.happen("read", path)
            # docs/semantics.md, File inodes, Modifications: processes of this machine see them at once.
            if path in self.staged:
                return bytes(self.staged[path].content[offset : offset + size])
            with self.object_of(path).open("rb") as file:
                file.seek(offset)
                return file.read(size)

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        with self.lock_of_all:
            name, staged, _ = self.handles[fh]
            killed = self.happen("write", name)
            assert staged is not None
            # docs/semantics.md, "Streaming Writes" and "Staged Writes": only a new file is streamed, and in order.
            # "Modifying even a single bit of an object results in the full re-upload"; here it is an error, as in
            # awslabs/mountpoint-s3 (doc/SEMANTICS.md, "Writes"), so that no code does so.
            if staged.existing or offset != len(staged.content):
                raise FuseOSError(errno.ENOTSUP)
            staged.content += data[: len(data) // 2] if killed else data
            staged.dirty = True
            return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        with self.lock_of_all:
            staged = self.staged.get(path)
            if length:
                raise FuseOSError(errno.ENOTSUP)
            if staged is None:
                self.write_object(path, b"")
            else:
                self.clear(staged)
        return 0

    def clear(self, staged: Staged) -> None:
        staged.content.clear()
        staged.existing, staged.dirty = False, True

    def flush(self, path: str, fh: int) -> int:
        with self.lock_of_all:
            name, staged, _ = self.handles[fh]
            if staged is not None and staged.dirty:
                self.happen("flush", name)
                # docs/semantics.md, "Write/Read consistency": close-to-open. A killed process is closed by the kernel:
                # what it had written becomes an object.
                if self.staged.get(name) is staged:
                    self.put(name)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        # docs/semantics.md, "FSync operation does not finalize the object": only close does.
        return 0

    def release(self, path: str, fh: int) -> int:
        with self.lock_of_all:
            name, staged, _ = self.handles.pop(fh)
            if staged is not None:
                staged.handles -= 1
                if not staged.handles and self.staged.get(name) is staged:
                    del self.staged[name]
        return 0

    def put(self, path: str) -> None:
        staged = self.staged[path]
        if staged.dirty:
            self.write_object(path, bytes(staged.content))
        staged.dirty = False

    def write_object(self, path: str, content: bytes) -> None:
        """A new generation of an object appears as a whole."""
        target = self.object_of(path)
        descriptor, unfinished = tempfile.mkstemp(dir=self.objects.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(unfinished).replace(target)

    # Ignored --------------------------------------------------------------------------------------------------------

    def chmod(self, path: str, mode: int) -> int:
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 1 << 20, "f_frsize": 1 << 20, "f_blocks": 1 << 40, "f_bfree": 1 << 40, "f_bavail": 1 << 40}


class Mounted(FUSE):
    """The mount; RENAME_EXCHANGE and RENAME_NOREPLACE are refused, which github.com/jacobsa/fuse does not know."""

    def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
        if flags:
            raise FuseOSError(errno.EINVAL)
        return self.operations.rename(os.fsdecode(old), os.fsdecode(new))


if __name__ == "__main__":
    # cmd/mount.go: subtype gcsfuse, so the type of the file system is fuse.gcsfuse. No caches in the kernel, of which
    # docs/semantics.md says that all its guarantees are without them.
    options = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0, "hard_remove": True}
    with suppress(RuntimeError):  # it was unmounted by SIGTERM
        Mounted(Bucket(Path(sys.argv[1])), sys.argv[2], foreground=True, fsname="bucket", subtype="gcsfuse", **options)
