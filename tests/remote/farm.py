#!/usr/bin/env python3
"""A farm for the tests: BuildGrid's servers with a database, and a worker that stands in for buildbox.

    farm.py FOLDER HOST:PORT [--fail KIND]…
    farm.py FOLDER HOST:PORT --content INSTANCE

BuildGrid serves content, results, executions and its queue of bots; PostgreSQL keeps the queue. The worker is ours: it speaks
the Remote Workers API with BuildGrid, lays the inputs of an action out in a folder, runs the command there without an
environment (as the user `nobody` if it may), and uploads what came of it.

With `--content` there is neither a queue nor a worker: a cache.

It prints `"ready"` once everything stands; for each line on standard input it prints how the actions ended that were run, and it ends when
standard input does.
Failures are used up one an action, in their order: `killed` (the command is killed), `empty` (nothing comes of it), `forged`
(a byte of each chunk is another one), `wrong` (a byte of `made` is another one), `none` (no failure).
"""

import argparse
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
from google.protobuf.any_pb2 import Any
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as re
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2_grpc as re_grpc
from buildgrid._protos.google.bytestream import bytestream_pb2, bytestream_pb2_grpc
from buildgrid._protos.google.devtools.remoteworkers.v1test2 import bots_pb2, bots_pb2_grpc, worker_pb2

NOBODY = 65534
WORKER = "worker-of-the-tests"

DATABASE = "postgresql+psycopg2://farm@/postgres?host={socket}"

CONTENT = """
server:
  - !channel
    address: {address}
    insecure-mode: true
storages:
  - !disk-storage &store
    path: {folder}/cas
caches:
  - !lru-action-cache &ac
    storage: *store
    max-cached-refs: 1024
    allow-updates: true
{queue}
instances:
  - name: '{instance}'
    services:
      - !action-cache
        cache: *ac
      - !cas
        storage: *store
      - !bytestream
        storage: *store
{execution}
thread-pool-size: 50
"""

QUEUE = """
connections:
  - !sql-connection &sql
    connection-string: {database}
    pool-size: 5
    max-overflow: 20
schedulers:
  - !sql-scheduler &scheduler
    storage: *store
    sql: *sql
    action-cache: *ac
    poll-interval: 0.2
    property-set:
      !dynamic-property-set
        unique-property-keys: []
        match-property-keys: [OSFamily, pool]
        wildcard-property-keys: []
"""

EXECUTION = """
      - !execution
        scheduler: *scheduler
      - !bots
        scheduler: *scheduler
"""


def die_with_parent():
    """What is started ends with who started it, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def as_nobody():
    die_with_parent()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def own(path):
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def start_database(folder):
    """PostgreSQL on a socket in a folder; it does not run as root."""
    data, sockets = folder / "database", pathlib.Path("/tmp") / f"cellblock-farm-{os.getpid()}"
    for path in (data, sockets):
        path.mkdir(mode=0o700)
        own(path)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = ["initdb", "-D", data, "-U", "farm", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(command, check=True, preexec_fn=as_nobody, cwd="/", **quiet)
    command = ["postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "fsync=off"]
    database = subprocess.Popen(command, preexec_fn=as_nobody, cwd="/", **quiet)
    wait_for(lambda: (sockets / ".s.PGSQL.5432").exists(), database)
    return database, sockets


def wait_for(is_there, process):
    while not is_there():
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}")
        time.sleep(0.05)


def answers(address):
    host, port = address.split(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) == 0


def start_server(folder, address, instance, database):
    """BuildGrid with content and results, and with a queue where there is a database for it."""
    config = folder / "bgd.yml"
    queue, execution = (QUEUE.format(database=database), EXECUTION) if database else ("", "")
    config.write_text(
        CONTENT.format(address=address, folder=folder, instance=instance, queue=queue, execution=execution)
    )
    bgd = str(pathlib.Path(sys.executable).with_name("bgd"))
    log = open(folder / "bgd.log", "wb")
    if database:
        subprocess.run([bgd, "migrate", "apply", database], check=True, stdout=log, stderr=log)
    server = subprocess.Popen([bgd, "server", "start", str(config)], stdout=log, stderr=log, preexec_fn=die_with_parent)
    wait_for(lambda: answers(address), server)
    return server


class Worker:
    def __init__(self, address, folder, failures):
        channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", 64 << 20)])
        self.cas = re_grpc.ContentAddressableStorageStub(channel)
        self.streams = bytestream_pb2_grpc.ByteStreamStub(channel)
        self.bots = bots_pb2_grpc.BotsStub(channel)
        self.folder, self.failures, self.count = folder, failures, 0
        self.ran, self.kept, self.is_over = [], {}, False

    def read(self, digest):
        if digest.size_bytes == 0:
            return b""
        if digest.hash in self.kept:
            return self.kept[digest.hash]
        request = bytestream_pb2.ReadRequest(resource_name=f"blobs/{digest.hash}/{digest.size_bytes}")
        data = b"".join(part.data for part in self.streams.Read(request))
        assert hashlib.sha256(data).hexdigest() == digest.hash and len(data) == digest.size_bytes
        if len(data) > 16 << 20:
            # The program, which all actions have.
            self.kept[digest.hash] = data
        return data

    def write(self, data):
        digest = re.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        name = f"uploads/{os.urandom(16).hex()}/blobs/{digest.hash}/{digest.size_bytes}"

        def parts():
            for at in range(0, max(len(data), 1), 1 << 20):
                part = data[at:at + (1 << 20)]
                is_last = at + len(part) == len(data)
                yield bytestream_pb2.WriteRequest(resource_name=name, write_offset=at, data=part, finish_write=is_last)

        self.streams.Write(parts())
        return digest

    def lay_out(self, digest, folder):
        """The inputs of an action as files."""
        directory = re.Directory.FromString(self.read(digest))
        folder.mkdir()
        names = [node.name for node in directory.files]
        assert names == sorted(names), "the API asks for sorted names"
        for node in directory.files:
            path = folder / node.name
            path.write_bytes(self.read(node.digest))
            path.chmod(0o555 if node.is_executable else 0o444)
        for node in directory.directories:
            self.lay_out(node.digest, folder / node.name)

    def take_in(self, folder, tree, is_root):
        """What came of an action, as a `Directory`."""
        directory = re.Directory()
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                child = self.take_in(path, tree, False)
                digest = self.write(child.SerializeToString())
                directory.directories.add(name=path.name, digest=digest)
                tree.children.append(child)
            else:
                directory.files.add(name=path.name, digest=self.write(path.read_bytes()))
        if is_root:
            tree.root.CopyFrom(directory)
        return directory

    def action_of(self, payload):
        action, digest = re.Action(), re.Digest()
        if payload.Unpack(action):
            return action
        assert payload.Unpack(digest)
        return re.Action.FromString(self.read(digest))

    def run(self, action):
        failure = self.failures.pop(0) if self.failures else "none"
        self.count += 1
        command = re.Command.FromString(self.read(action.command_digest))
        root = self.folder / f"action-{self.count}"
        self.lay_out(action.input_root_digest, root)
        own(root)
        for path in [*command.output_files, *command.output_directories]:
            parent = (root / path).parent
            parent.mkdir(exist_ok=True)
            own(parent)
        result = re.ActionResult()
        result.execution_metadata.worker = WORKER
        if failure == "killed":
            result.exit_code, result.stderr_raw = 137, b"killed: out of memory"
        else:
            done = subprocess.run(list(command.arguments), cwd=root, env={}, capture_output=True, preexec_fn=as_nobody)
            result.exit_code, result.stdout_raw, result.stderr_raw = done.returncode, done.stdout, done.stderr
        if result.exit_code == 0 and failure != "empty":
            self.forge(root, command, failure)
            for path in command.output_files:
                result.output_files.add(path=path, digest=self.write((root / path).read_bytes()))
            for path in command.output_directories:
                tree = re.Tree()
                self.take_in(root / path, tree, True)
                result.output_directories.add(path=path, tree_digest=self.write(tree.SerializeToString()))
        platform = ",".join(f"{it.name}={it.value}" for it in command.platform.properties)
        self.ran.append(f"{result.exit_code} {failure} {platform}".strip())
        keep = self.folder / "last"
        shutil.rmtree(keep, ignore_errors=True)
        root.rename(keep)
        return result

    def forge(self, root, command, failure):
        if failure == "forged":
            chunks = root / command.output_directories[0]
            # All of them, since the server may have some of another partition.
            for chunk in (path for path in chunks.rglob("*") if path.is_file()):
                data = chunk.read_bytes()
                chunk.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        if failure == "wrong":
            made = root / command.output_files[0]
            data = made.read_bytes()
            # The first byte of the key.
            at = data.index(b"\n") + 1
            made.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])

    def work(self):
        try:
            self.serve()
        except grpc.RpcError as error:
            if not self.is_over:
                sys.exit(f"the worker: {error}")

    def serve(self):
        session = bots_pb2.BotSession(bot_id=WORKER, status=1)
        device = session.worker.devices.add(handle="primary")
        for key, value in (("OSFamily", "linux"), ("pool", "images")):
            device.properties.add(key=key, value=value)
        session = self.bots.CreateBotSession(bots_pb2.CreateBotSessionRequest(bot_session=session), timeout=20)
        while True:
            for lease in session.leases:
                if lease.state == 1:
                    lease.state = 2
                elif lease.state == 2:
                    result = Any()
                    result.Pack(self.run(self.action_of(lease.payload)))
                    lease.result.CopyFrom(result)
                    lease.state = 4
            request = bots_pb2.UpdateBotSessionRequest(name=session.name, bot_session=session)
            session = self.bots.UpdateBotSession(request, timeout=20)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("address")
    arguments.add_argument("--fail", action="append", default=[])
    arguments.add_argument("--content", metavar="INSTANCE", help="content and results alone, without a worker")
    given = arguments.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    processes, sockets, worker = [], None, None
    if given.content is None:
        database, sockets = start_database(folder)
        processes.append(database)
        database = DATABASE.format(socket=sockets)
        processes.append(start_server(folder, given.address, "", database))
        (folder / "work").mkdir(mode=0o755)
        worker = Worker(given.address, folder / "work", given.fail)
        threading.Thread(target=worker.work, daemon=True).start()
    else:
        processes.append(start_server(folder, given.address, given.content, None))

    print(json.dumps("ready"), flush=True)
    # Each line asks how the actions ended that were run.
    for _ in sys.stdin:
        print(json.dumps(worker.ran), flush=True)
    if worker:
        worker.is_over = True
    for process in reversed(processes):
        process.kill()
        process.wait()
    if sockets:
        shutil.rmtree(sockets, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
