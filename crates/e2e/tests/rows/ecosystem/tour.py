"""What programs do with docker-py, against the engine of DOCKER_HOST. Needs the image busybox and nothing else on the engine."""
import io, itertools, tarfile
import docker


def expect(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


engine = docker.from_env()
expect(engine.containers.run("busybox", "echo hi", remove=True), b"hi\n")

one = engine.containers.run("busybox", "sh -c 'echo a; sleep 600'", detach=True, name="one", labels={"l": "1"},
                            mem_limit="64m", ports={"80/tcp": None})
one.reload()
expect(one.status, "running")
expect([p["HostIp"] for p in one.ports["80/tcp"]], ["0.0.0.0", "::"])
expect(tuple(one.exec_run("id -u")), (0, b"0\n"))
expect(tuple(one.exec_run("sh -c 'echo o; echo e >&2; exit 3'", demux=True)), (3, (b"o\n", b"e\n")))
expect(next(one.logs(stream=True)), b"a\n")
expect(one.stats(stream=False)["memory_stats"]["limit"], 64 << 20)
expect(one.top()["Titles"][:3], ["UID", "PID", "PPID"])

tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w") as archive:
    member = tarfile.TarInfo("f")
    member.size = 3
    archive.addfile(member, io.BytesIO(b"abc"))
assert one.put_archive("/tmp", tar.getvalue())
chunks, stat = one.get_archive("/tmp/f")
expect(stat["name"], "f")
back = tarfile.open(fileobj=io.BytesIO(b"".join(chunks)))
expect(back.extractfile("f").read(), b"abc")
expect(one.diff(), [{"Path": "/tmp", "Kind": 0}, {"Path": "/tmp/f", "Kind": 1}])

made = one.commit("made", "v1")
expect(made.tags, ["made:v1"])
network = engine.networks.create("net")
network.connect(one, aliases=["alias"])
network.reload()
expect([c.name for c in network.containers], ["one"])
network.disconnect(one)
network.remove()
volume = engine.volumes.create("vol", labels={"a": "b"})
expect([v.name for v in engine.volumes.list(filters={"label": "a"})], ["vol"])
volume.remove()

one.pause()
one.reload()
expect(one.status, "paused")
one.unpause()
one.update(mem_limit="128m", memswap_limit="256m")
one.rename("two")
one.restart(timeout=0)
expect([c.name for c in engine.containers.list(filters={"label": "l=1"})], ["two"])
one.kill()
expect(one.wait()["StatusCode"], 137)
one.remove()
assert engine.df()["LayersSize"] > 0
try:
    engine.containers.get("nope")
    raise AssertionError("there is no such container")
except docker.errors.NotFound as error:
    expect(error.explanation, "No such container: nope")
try:
    engine.containers.run("busybox", "false")
    raise AssertionError("it fails")
except docker.errors.ContainerError as error:
    expect(error.exit_status, 1)
engine.images.remove("made:v1")
expect(len(engine.containers.prune()["ContainersDeleted"]), 1)

cat = engine.containers.create("busybox", "cat", stdin_open=True, name="cat")
stream = cat.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
cat.start()
stream._sock.sendall(b"ping\n")
frame = b""
while len(frame) < 13:
    frame += stream._sock.recv(64)
expect(frame, b"\x01\0\0\0\0\0\0\x05ping\n")
cat.remove(force=True)
expect([e["Type"] for e in itertools.islice(engine.events(since=1, decode=True), 2)], ["image", "container"])
saved = b"".join(engine.images.get("busybox").save(named=True))
expect(engine.images.load(saved)[0].tags, ["busybox:latest"])
