"""Images of real services, made from Debian's packages and pushed to a registry that listens on loopback.

images.py CACHE: makes the root file system, once for each list of packages. images.py CACHE ADDRESS: pushes the images, which are
called and behave as the official ones of those names, as far as the examples use them.
"""

import fcntl
import gzip
import hashlib
import http.client
import io
import json
import os
import subprocess
import sys
import tarfile

PACKAGES = "postgresql-15 python3-minimal libpython3-stdlib redis-server redis-tools"
LEFT_OUT = [
    "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
    # Compiling queries just in time is left out with the compiler: PostgreSQL goes without.
    "/usr/lib/x86_64-linux-gnu/libLLVM*", "/usr/lib/llvm-*", "/usr/lib/postgresql/*/lib/bitcode/*", "/usr/lib/postgresql/*/lib/llvmjit*",
]

POSTGRES = """#!/bin/sh
# Initialises an empty data directory and becomes the server, as user postgres.
set -e
export PATH="/usr/lib/postgresql/15/bin:$PATH" PGDATA="${PGDATA:-/var/lib/postgresql/data}"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown postgres:postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username=postgres --pwfile=/tmp/password --no-sync >/dev/null
    rm /tmp/password
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options='-c listen_addresses=' start >/dev/null
    createdb --username=postgres "$POSTGRES_DB"
    pg_ctl --wait --mode=fast stop >/dev/null
fi
exec "$@"
"""

REDIS = """#!/bin/sh
# The server runs as user redis, which owns the data, and answers to everybody who reaches it.
set -e
if [ "$(id -u)" = 0 ] && [ "$1" = redis-server ]; then
    chown redis:redis /data
    exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi
[ "$1" = redis-server ] && set -- "$@" --protected-mode no
exec "$@"
"""

IMAGES = {
    ("library/postgres", "15"): (POSTGRES, {
        "Cmd": ["postgres", "-c", "listen_addresses=*"], "StopSignal": "SIGINT", "ExposedPorts": {"5432/tcp": {}},
        "Volumes": {"/var/lib/postgresql/data": {}},
    }),
    ("library/redis", "7"): (REDIS, {
        "Cmd": ["redis-server"], "WorkingDir": "/data", "ExposedPorts": {"6379/tcp": {}}, "Volumes": {"/data": {}},
    }),
    ("library/python", "3.11"): (None, {"Cmd": ["python3"]}),
}


def root_file_system(cache):
    """Path and diff id of the compressed layer that all images share."""
    key = hashlib.sha256(f"{PACKAGES}{LEFT_OUT}".encode()).hexdigest()[:16]
    layer, about = f"{cache}/{key}.tar.gz", f"{cache}/{key}.diff-id"
    os.makedirs(cache, exist_ok=True)
    with open(f"{cache}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(about):
            make(f"{layer}.new", f"{about}.new")
            os.rename(f"{layer}.new", layer)
            os.rename(f"{about}.new", about)
    with open(about) as file:
        return layer, file.read()


def make(layer, about):
    archive = f"{layer}.tar"
    words = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={PACKAGES.replace(' ', ',')}"]
    words += [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    # The package would make a cluster of its own.
    hook = 'mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'
    subprocess.run([*words, f"--setup-hook={hook}", "bookworm", archive], check=True, stdin=subprocess.DEVNULL)
    with open(archive, "rb") as file, open(about, "w") as to:
        to.write("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
    with open(layer, "wb") as to:
        subprocess.run(["gzip", "-1", "--stdout", archive], check=True, stdout=to)
    os.remove(archive)


def with_entrypoint(script):
    """A layer with one program."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        entry = tarfile.TarInfo("usr/local/bin/docker-entrypoint.sh")
        entry.mode, entry.size = 0o755, len(script)
        archive.addfile(entry, io.BytesIO(script.encode()))
    return data.getvalue()


class Registry:
    def __init__(self, address):
        self.address = address

    def ask(self, method, path, body=None, headers=None):
        link = http.client.HTTPConnection(self.address)
        link.request(method, path, body=body, headers=headers or {})
        answer = link.getresponse()
        answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status}")
        return answer

    def push_blob(self, name, digest, size, body):
        place = self.ask("POST", f"/v2/{name}/blobs/uploads/").getheader("Location").removeprefix(f"http://{self.address}")
        self.ask("PUT", f"{place}&digest={digest}", body, {"Content-Length": str(size)})
        return {"digest": digest, "size": size}


def push(registry, name, tag, layer, diff_id, script, config):
    with open(layer, "rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        layers = [registry.push_blob(name, digest, os.path.getsize(layer), file)]
    diff_ids = [diff_id]
    if script:
        plain = with_entrypoint(script)
        packed = gzip.compress(plain, mtime=0)
        layers.append(registry.push_blob(name, "sha256:" + hashlib.sha256(packed).hexdigest(), len(packed), packed))
        diff_ids.append("sha256:" + hashlib.sha256(plain).hexdigest())
        config = {"Entrypoint": ["docker-entrypoint.sh"], **config}
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin"
    about = {
        "architecture": "amd64", "os": "linux", "config": {"Env": [path], **config},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    about = json.dumps(about).encode()
    kind = "application/vnd.oci.image.%s"
    manifest = {
        "schemaVersion": 2, "mediaType": kind % "manifest.v1+json",
        "config": {
            "mediaType": kind % "config.v1+json",
            **registry.push_blob(name, "sha256:" + hashlib.sha256(about).hexdigest(), len(about), about),
        },
        "layers": [{"mediaType": kind % "layer.v1.tar+gzip", **each} for each in layers],
    }
    headers = {"Content-Type": manifest["mediaType"]}
    registry.ask("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest), headers)


if __name__ == "__main__":
    layer, diff_id = root_file_system(sys.argv[1])
    for address in sys.argv[2:]:
        for (name, tag), (script, config) in IMAGES.items():
            push(Registry(address), name, tag, layer, diff_id, script, config)
