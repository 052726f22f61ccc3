"""A project on an SSH server: asyncssh serves a folder, ours and upstream's package read what the other wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCRIPT = """
import asyncio, json, sys, threading
import asyncssh
import numpy as np
folder = sys.argv[1]
started, port = threading.Event(), []

class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True
    def password_auth_supported(self):
        return True
    def validate_password(self, username, password):
        return (username, password) == ("ada", "secret")

async def serve():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=True)
    port.append(server.sockets[0].getsockname()[1])
    started.set()
    await asyncio.Event().wait()

threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
started.wait()
place = {"host": "127.0.0.1", "port": port[0], "username": "ada", "password": "secret", "known_hosts": None}
config = json.dumps({
    "config_type": "filesystem", "user_id": "ada", "overlay_root": f"ssh://{folder}/overlay", "overlay_fs_args": place,
    "pickable_objects": [{"name": "ribosome", "is_particle": True, "label": 1}]})
import copick
import tomoportal.copick as ours

def fill(package, name):
    run = package.from_string(config).new_run(name)
    run.new_picks("ribosome", "1").from_numpy(np.arange(6.0).reshape(2, 3))
    run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.arange(125.0).reshape(5, 5, 5))
    run.new_segmentation(10.0, "ribosome", "1").from_numpy(np.ones((5, 5, 5), np.uint8))

def tell(package, name):
    run = package.from_string(config).get_run(name)
    return [run.picks[0].numpy()[0].tolist(), float(run.voxel_spacings[0].tomograms[0].numpy().sum()),
            int(run.segmentations[0].numpy().sum())]

import os
os.makedirs(folder + "/overlay")
fill(ours, "ours")
fill(copick, "theirs")
told = [tell(package, name) for package in (ours, copick) for name in ("ours", "theirs")]
one, other = (ours.from_string(config).get_run("ours").picks[0] for _ in range(2))
one.points, other.points
one.from_numpy(np.ones((3, 3)))
try:
    other.from_numpy(np.zeros((1, 3)))
except OSError as error:
    told.append(type(error).__name__)
told.append(len(one.history()))
print(json.dumps(told))
import sys
sys.stdout.flush()
os._exit(0)
"""


def test_a_project_on_an_ssh_server(tmp_path: Path, plugins: Any) -> None:
    *read, conflict, versions = plugins(SCRIPT, tmp_path)
    assert read == [[[[0, 1, 2], [3, 4, 5]], 7750.0, 125]] * 4
    assert conflict == "ConflictError"
    assert versions >= 1
