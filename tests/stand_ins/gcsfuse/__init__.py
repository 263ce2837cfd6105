"""A mounted bucket: a real FUSE mount that behaves as gcsfuse does, or more strictly.

bucket = Mount(objects, mountpoint)
with bucket.running():
    bucket.fail("flush", "*.json")            # EIO once, then fine
    bucket.kill("write", "*/corpus/*")        # SIGKILL for the process that writes there first
"""

from tests.stand_ins.gcsfuse.mount import Mount, missing

__all__ = ["Mount", "missing"]
