#!/usr/bin/env python3
"""Measure Wharf from the outside, alone or paired with another engine that answers Docker's API.

The same real client (the `docker` CLI named by --cli) and the same raw API calls drive each
engine in turn (A B A B ...), so a ratio holds even when the machine's speed drifts.

    ./x bench                                   our own daemon, in a throw-away host
    ./x bench --peer /run/docker.sock           beside another engine
    ./x bench --only run_rm,exec --json out.json
    ./x bench --a unix:///run/wharf/wharf.sock  a daemon that runs already

What it needs: python3, a `docker` CLI, busybox-static (/bin/busybox), root (to read /proc of the engines).
--pids-a/--pids-b (comma separated process names) say which processes count as the engine when memory is measured.
Every figure is in milliseconds unless its name says otherwise. A case that an engine cannot do is
reported as 'failed: why' and never silently dropped.
"""
import argparse, atexit, concurrent.futures, hashlib, http.client, io, json, os, shutil, socket, statistics, subprocess, sys, tarfile, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("WHARF_BIN", os.path.join(ROOT, "target/wharf"))
BUSYBOX = "/bin/busybox"
IMAGE = "bench/busybox:latest"


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, timeout=120):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, host, cli, pids):
        self.host, self.cli, self.pids = host, cli, pids
        self.sock = host.removeprefix("unix://")
        self.pid_namespace = None  # where its processes are, when known

    def api(self, method, path, body=None, headers=None, ok=(200, 201, 204, 304)):
        conn = UnixHTTP(self.sock)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        conn.request(method, "/v1.41" + path, body=body, headers=headers)
        r = conn.getresponse()
        data = r.read()
        conn.close()
        if r.status not in ok:
            raise RuntimeError(f"{method} {path}: {r.status} {data[:200]!r}")
        return json.loads(data) if data[:1] in (b"{", b"[") else data

    def docker(self, *args, input=None, check=True, env=None):
        e = dict(os.environ, DOCKER_HOST=self.host, **(env or {}))
        p = subprocess.run([self.cli, *args], input=input, capture_output=True, env=e, timeout=300)
        if check and p.returncode:
            raise RuntimeError(f"{args[:3]}: exit {p.returncode}: {p.stderr[-300:].decode(errors='replace')}")
        return p.stdout

    def engine_kib(self):
        """PSS in KiB of every process that counts as the engine (shims and proxies included)."""
        total, n = 0, 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                comm = open(f"/proc/{pid}/comm").read().strip()
                if not any(comm.startswith(p[:15]) for p in self.pids):
                    continue
                if self.pid_namespace and os.readlink(f"/proc/{pid}/ns/pid") != self.pid_namespace:
                    continue  # of another engine on this machine
                for line in open(f"/proc/{pid}/smaps_rollup"):
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]); n += 1
            except OSError:
                pass
        return total, n


def busybox_tar():
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w") as t:
        for d in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "var"):
            i = tarfile.TarInfo(d); i.type = tarfile.DIRTYPE; i.mode = 0o1777 if d == "tmp" else 0o755; t.addfile(i)
        t.add(BUSYBOX, "bin/busybox")
        for a in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
            if a != "busybox":
                i = tarfile.TarInfo("bin/" + a); i.type = tarfile.SYMTYPE; i.linkname = "busybox"; t.addfile(i)
        for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("etc/group", "root:x:0:\n")):
            i = tarfile.TarInfo(name); i.size = len(text); t.addfile(i, io.BytesIO(text.encode()))
    return buf.getvalue()


def ms(f):
    t = time.perf_counter(); f(); return (time.perf_counter() - t) * 1e3


def create_start(e, cmd, host=None, name=None):
    body = {"Image": IMAGE, "Cmd": cmd, "HostConfig": host or {},
            "ExposedPorts": {p: {} for p in (host or {}).get("PortBindings", {})}}
    q = f"?name={name}" if name else ""
    cid = e.api("POST", "/containers/create" + q, body)["Id"]
    e.api("POST", f"/containers/{cid}/start")
    return cid


def lifecycle(e, net="default"):
    cid = create_start(e, ["true"], {"NetworkMode": net})
    e.api("POST", f"/containers/{cid}/wait")
    e.api("DELETE", f"/containers/{cid}?force=1")


class OurHost:
    """Our daemon in network, mount and PID namespaces of its own; everything is gone when this program ends."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="wharf-bench.")
        self.socket = self.dir + "/api.sock"
        self.cgroup = f"/wharf-bench-{os.getpid()}"
        script = (f"mount -t tmpfs -o mode=755 tmpfs /run && ip link set lo up && exec {BIN}/wharfd --data-root {self.dir}/data "
                  f"--cgroup-parent {self.cgroup} -H unix://{self.socket} 2>{self.dir}/log")
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                                         "--propagation", "private", "sh", "-c", script])
        atexit.register(self.close)
        for _ in range(500):
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.socket)
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        sys.exit("wharfd did not start: " + open(self.dir + "/log").read())

    def close(self):
        self.process.kill()
        self.process.wait()
        for top, dirs, _ in os.walk("/sys/fs/cgroup", topdown=False):
            if self.cgroup[1:] in top.split("/"):
                try:
                    os.rmdir(top)
                except OSError:
                    pass
        shutil.rmtree(self.dir, ignore_errors=True)


# Each case: f(engine) -> {figure: value}; run once per round.
def c_run_rm(e): return {"ms": ms(lambda: e.docker("run", "--rm", IMAGE, "true"))}
def c_run_rm_none(e): return {"ms": ms(lambda: e.docker("run", "--rm", "--network", "none", IMAGE, "true"))}
def c_api_lifecycle(e): return {"ms": ms(lambda: lifecycle(e))}
def c_api_lifecycle_none(e): return {"ms": ms(lambda: lifecycle(e, "none"))}


def c_exec(e):
    cid = create_start(e, ["sleep", "600"])
    try:
        return {"ms": statistics.median(ms(lambda: e.docker("exec", cid, "true")) for _ in range(5))}
    finally:
        e.api("DELETE", f"/containers/{cid}?force=1")


def own_client(e, *args):
    """Our command line; against the peer the stock client stands in, so that the pair is what a user of each types."""
    cli = BIN + "/wharf" if e.tag == "A" else e.cli
    env = dict(os.environ, DOCKER_HOST=e.host)
    p = subprocess.run([cli, *args], capture_output=True, env=env, timeout=60)
    if p.returncode:
        raise RuntimeError(f"{args}: exit {p.returncode}: {p.stderr[-300:].decode(errors='replace')}")


def c_own_run_rm(e): return {"ms": ms(lambda: own_client(e, "run", "--rm", IMAGE, "true"))}
def c_own_run_rm_none(e): return {"ms": ms(lambda: own_client(e, "run", "--rm", "--network", "none", IMAGE, "true"))}


def c_own_exec(e):
    cid = create_start(e, ["sleep", "600"])
    try:
        return {"ms": statistics.median(ms(lambda: own_client(e, "exec", cid, "true")) for _ in range(10))}
    finally:
        e.api("DELETE", f"/containers/{cid}?force=1")


def c_curve_500(e):
    """What the 1st, 100th ... 500th running container costs to start."""
    ids, took = [], []
    try:
        for _ in range(500):
            took.append(ms(lambda: ids.append(create_start(e, ["sleep", "6000"]))))
        ps = statistics.median(ms(lambda: e.api("GET", "/containers/json?all=1")) for _ in range(10))
        return {f"start_{n:03}_ms": statistics.median(took[max(0, n - 20):n]) for n in (20, 100, 200, 300, 400, 500)} | {"list_500_ms": ps}
    finally:
        for cid in ids:
            e.api("DELETE", f"/containers/{cid}?force=1")


def c_oci_run(e):
    """`run true` of the OCI runtime itself: ours as A, --oci-peer (crun, runc) as B. The engines play no part."""
    runtime = BIN + "/wharf-oci" if e.tag == "A" else e.oci
    if not runtime:
        raise RuntimeError("no --oci-peer given")
    with tempfile.TemporaryDirectory() as d:
        os.makedirs(d + "/rootfs/bin"); os.mkdir(d + "/rootfs/proc"); os.mkdir(d + "/rootfs/dev"); os.mkdir(d + "/rootfs/sys")
        shutil.copy(BUSYBOX, d + "/rootfs/bin/true")
        spec = json.loads(subprocess.check_output([BIN + "/wharf-oci", "spec", "--bundle", d]) or b"null") or json.load(open(d + "/config.json"))
        spec["process"]["args"], spec["process"]["terminal"] = ["/bin/true"], False
        json.dump(spec, open(d + "/config.json", "w"))
        def once(n):
            p = subprocess.run([runtime, "--root", d + "/state", "run", "--bundle", d, f"bench{n}"], capture_output=True)
            if p.returncode:
                raise RuntimeError(p.stderr[-300:].decode(errors="replace"))
        return {"ms": statistics.median(ms(lambda: once(n)) for n in range(20))}


def c_parallel_32(e):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return {"ms_per_container": ms(lambda: list(pool.map(lambda _: lifecycle(e), range(32)))) / 32}


def c_density_50(e):
    # what the cases before have left is given back in a moment of quiet; both sides of the difference begin with one
    time.sleep(3)
    base, _ = e.engine_kib()
    ids = []
    try:
        t = ms(lambda: ids.extend(create_start(e, ["sleep", "600"]) for _ in range(50)))
        time.sleep(3)
        kib, procs = e.engine_kib()
        ps = statistics.median(ms(lambda: e.api("GET", "/containers/json?all=1")) for _ in range(20))
        return {"idle_engine_MiB": base / 1024, "engine_KiB_per_container": (kib - base) / 50,
                "ms_per_start": t / 50, "list_50_ms": ps}
    finally:
        for cid in ids:
            e.api("DELETE", f"/containers/{cid}?force=1")


def c_logs_100MB(e):
    line = "x" * 99
    cid = create_start(e, ["sh", "-c", f"yes {line} | head -c 100000000"])
    t = time.perf_counter(); e.api("POST", f"/containers/{cid}/wait"); w = (time.perf_counter() - t) * 1e3
    n = 0
    def read():
        nonlocal n
        n = len(e.docker("logs", cid))
    r = ms(read)
    e.api("DELETE", f"/containers/{cid}?force=1")
    if n != 100000000:
        raise RuntimeError(f"logs returned {n} bytes of 100000000")
    return {"write_ms": w, "read_ms": r}


def _image_tar():
    """A docker-save archive of five 40 MB layers, half compressible, made once."""
    path = os.path.join(tempfile.gettempdir(), "wharf-bench-image.tar")
    if os.path.exists(path):
        return path
    rnd = os.urandom(1 << 20)
    layers = [busybox_tar()]
    for i in range(5):
        buf = io.BytesIO()
        with tarfile.open(fileobj=buf, mode="w") as t:
            for j in range(400):
                o = (i * 400 + j) * 997 % 900000
                data = rnd[o:o + 50000] + b"text %d\n" % j * 6000
                f = tarfile.TarInfo(f"data/l{i}/f{j}"); f.size = len(data); t.addfile(f, io.BytesIO(data))
        layers.append(buf.getvalue())
    diffs = ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": {"Cmd": ["sh"]},
                         "history": [{"created": "2026-01-01T00:00:00Z", "created_by": f"layer {i}"} for i in range(len(layers))],
                         "rootfs": {"type": "layers", "diff_ids": diffs}}).encode()
    files = [(f"{d[7:]}/layer.tar", l) for d, l in zip(diffs, layers)] + [(hashlib.sha256(config).hexdigest() + ".json", config)]
    manifest = json.dumps([{"Config": files[-1][0], "RepoTags": ["bench/big:latest"], "Layers": [n for n, _ in files[:-1]]}]).encode()
    with tarfile.open(path + ".part", mode="w") as t:
        for name, data in files + [("manifest.json", manifest)]:
            f = tarfile.TarInfo(name); f.size = len(data); t.addfile(f, io.BytesIO(data))
    os.rename(path + ".part", path)
    return path


def c_load_save_200MB(e):
    path = _image_tar()
    r = {"load_ms": ms(lambda: e.docker("load", "-i", path)),
         "save_ms": ms(lambda: e.docker("save", "-o", tempfile.gettempdir() + "/engine-bench-out.tar", "bench/big"))}
    r["rmi_ms"] = ms(lambda: e.docker("rmi", "-f", "bench/big"))
    return r


class Registry:
    """Debian's docker-registry on the engine's own loopback, empty."""

    def __init__(self, e):
        self.dir = tempfile.mkdtemp(prefix="wharf-bench-registry.")
        with socket.socket() as s:  # any free port: free here is free there, or the registry says so
            s.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % s.getsockname()[1]
        with open(self.dir + "/config.yml", "w") as f:
            f.write(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: '{self.dir}/data'}}}}\n"
                    f"http: {{addr: '{self.address}'}}\n")
        netns = os.environ.get("BENCH_NETNS_" + e.tag)
        enter = ["nsenter", "--net=" + netns] if netns else []
        self.process = subprocess.Popen(enter + ["docker-registry", "serve", self.dir + "/config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        host, port = self.address.split(":")
        for _ in range(200):
            if subprocess.run(enter + ["bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}"], capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError("the registry did not come up")

    def __enter__(self):
        return self.address

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def c_push_pull_200MB(e):
    e.docker("load", "-i", _image_tar())
    with Registry(e) as address:
        name = address + "/bench/big:v1"
        e.docker("tag", "bench/big", name)
        r = {"push_ms": ms(lambda: e.docker("push", "-q", name))}
        e.docker("rmi", "bench/big", name)
        r["pull_ms"] = ms(lambda: e.docker("pull", "-q", name))
        e.docker("rmi", name)
    return r


def c_pull_1GB_memory(e):
    """Highest PSS of the engine while it pulls an image of one layer of 1 GB."""
    noise = os.urandom(1 << 20)
    path = os.path.join(tempfile.gettempdir(), "wharf-bench-1GB.tar")
    with tarfile.open(path, mode="w") as t:
        for j in range(1024):
            f = tarfile.TarInfo(f"f{j}"); f.size = len(noise); t.addfile(f, io.BytesIO(noise))
    try:
        with Registry(e) as address:
            name = address + "/bench/one:v1"
            e.docker("import", path, name)
            e.docker("push", "-q", name)
            e.docker("rmi", name)
            peak, done = 0, threading.Event()

            def watch():
                nonlocal peak
                while not done.wait(0.02):
                    peak = max(peak, e.engine_kib()[0])

            watcher = threading.Thread(target=watch)
            watcher.start()
            took = ms(lambda: e.docker("pull", "-q", name))
            done.set(); watcher.join()
            e.docker("rmi", name)
    finally:
        os.unlink(path)
    return {"peak_MiB": peak / 1024, "ms": took}
def _copies(e, copy, make):
    """Both ways, of what `make` puts into a folder: into a running container, and out of it."""
    cid = create_start(e, ["sleep", "600"])
    try:
        with tempfile.TemporaryDirectory() as d:
            os.mkdir(d + "/src")
            make(d + "/src")
            # ext4 looks long for inodes that were not freed in the last five seconds, as those of the round before were
            os.sync()
            time.sleep(6)
            into = ms(lambda: copy(e, "cp", d + "/src", cid + ":/in"))
            out = ms(lambda: copy(e, "cp", cid + ":/in", d + "/out"))
            count = lambda root: sum(len(files) for _, _, files in os.walk(root))
            if count(d + "/out") != count(d + "/src"):
                raise RuntimeError("not everything came back")
        return {"in_ms": into, "out_ms": out}
    finally:
        e.api("DELETE", f"/containers/{cid}?force=1")


def _one_large(d):
    piece = os.urandom(1 << 20)
    with open(d + "/large", "wb") as f:
        for _ in range(1024):
            f.write(piece)


def _many_small(d):
    for i in range(20000):
        if i % 200 == 0:
            os.mkdir(f"{d}/{i // 200}")
        with open(f"{d}/{i // 200}/{i}", "wb") as f:
            f.write(b"x" * (i % 3000))


def c_cp_1GB(e): return _copies(e, Engine.docker, _one_large)
def c_cp_20000(e): return _copies(e, Engine.docker, _many_small)
def c_mounts_20(e):
    """Start of a container with 20 mounts (10 binds, 10 volumes) beside one without, through the API."""
    mounts = []
    for i in range(10):
        # a folder that every host has
        mounts.append({"Type": "bind", "Source": "/usr", "Target": f"/bound/{i}", "ReadOnly": True})
        e.api("POST", "/volumes/create", {"Name": f"bench-mount-{i}"})
        mounts.append({"Type": "volume", "Source": f"bench-mount-{i}", "Target": f"/volume/{i}"})

    def start(host):
        cid = e.api("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": dict(host, NetworkMode="none")})["Id"]
        try:
            return ms(lambda: e.api("POST", f"/containers/{cid}/start"))
        finally:
            e.api("DELETE", f"/containers/{cid}?force=1")
    try:
        # in turns: a machine that slows down slows both
        pairs = [(start({}), start({"Mounts": mounts})) for _ in range(20)]
    finally:
        for i in range(10):
            e.api("DELETE", f"/volumes/bench-mount-{i}")
    none, many = (statistics.median(column) for column in zip(*pairs))
    return {"none_ms": none, "twenty_ms": many, "twenty_over_none": many / none}


def c_volume_ls_1000(e):
    """A list of 1,000 volumes through the API."""
    names = [f"bench-list-{i}" for i in range(1000)]
    for name in names:
        e.api("POST", "/volumes/create", {"Name": name})
    try:
        if len(e.api("GET", "/volumes")["Volumes"]) < 1000:
            raise RuntimeError("not all are listed")
        return {"api_ms": statistics.median(ms(lambda: e.api("GET", "/volumes")) for _ in range(20)),
                "cli_ms": statistics.median(ms(lambda: e.docker("volume", "ls", "-q")) for _ in range(5))}
    finally:
        for name in names:
            e.api("DELETE", f"/volumes/{name}")


def c_df_20000(e):
    """`GET /system/df` with 20,000 files in a stopped container and 20,000 in a volume that nobody uses."""
    script = "for d in $(seq 20); do mkdir -p $0/$d; for f in $(seq 1000); do echo $f > $0/$d/$f; done; done"
    make = lambda body: e.api("POST", "/containers/create", body)["Id"]
    ids = [make({"Image": IMAGE, "Cmd": ["sh", "-c", script, where], "HostConfig": {"Binds": ["bench-df:/data"], "NetworkMode": "none"}})
           for where in ("/own", "/data")]
    try:
        for i in ids:
            e.api("POST", f"/containers/{i}/start")
            e.api("POST", f"/containers/{i}/wait")
        first = ms(lambda: e.api("GET", "/system/df"))
        rest = statistics.median(ms(lambda: e.api("GET", "/system/df")) for _ in range(10))
        return {"first_ms": first, "ms": rest}
    finally:
        for i in ids:
            e.api("DELETE", f"/containers/{i}?force=1")
        e.api("DELETE", "/volumes/bench-df")


def c_own_cp_1GB(e): return _copies(e, own_client, _one_large)
def c_own_cp_20000(e): return _copies(e, own_client, _many_small)


def c_images_500(e):
    """A list of 500 images of one layer, each with a name and a label; through the API and through the client."""
    path = os.path.join(tempfile.gettempdir(), "wharf-bench-500.tar")
    layer = busybox_tar()
    diff = hashlib.sha256(layer).hexdigest()
    with tarfile.open(path, mode="w") as t:
        def add(name, data):
            f = tarfile.TarInfo(name); f.size = len(data); t.addfile(f, io.BytesIO(data))
        add(f"{diff}/layer.tar", layer)
        manifest = []
        for i in range(500):
            config = json.dumps({"architecture": "amd64", "os": "linux", "created": f"2026-01-01T00:{i // 60:02}:{i % 60:02}Z",
                                 "config": {"Cmd": ["sh"], "Labels": {"n": str(i)}}, "history": [{"created_by": "x"}],
                                 "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff]}}).encode()
            name = hashlib.sha256(config).hexdigest() + ".json"
            add(name, config)
            manifest.append({"Config": name, "RepoTags": [f"bench/many:{i}"], "Layers": [f"{diff}/layer.tar"]})
        add("manifest.json", json.dumps(manifest).encode())
    e.docker("load", "-q", "-i", path)
    r = {}
    try:
        n = len(e.api("GET", "/images/json"))
        if n < 500:
            raise RuntimeError(f"{n} images")
        r = {"api_ms": statistics.median(ms(lambda: e.api("GET", "/images/json")) for _ in range(9)),
             "cli_ms": statistics.median(ms(lambda: e.docker("images")) for _ in range(3))}
    finally:
        names = [f"bench/many:{i}" for i in range(500)]
        r["rmi_each_ms"] = ms(lambda: e.docker("rmi", *names)) / 500
        os.unlink(path)
    return r


def c_commit_100MB(e):
    cid = create_start(e, ["sh", "-c", "dd if=/dev/urandom of=/big bs=1M count=100 2>/dev/null"])
    e.api("POST", f"/containers/{cid}/wait")
    got = {}
    r = {"ms": ms(lambda: got.update(e.api("POST", f"/commit?container={cid}&repo=bench/committed", body={})))}
    e.api("DELETE", f"/containers/{cid}?force=1")
    e.docker("rmi", "-f", "bench/committed")
    return r


def c_build_12_steps(e):
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/Dockerfile", "w") as f:
            f.write(f"FROM {IMAGE}\nARG SALT\nCOPY a /a\n" + "".join(f"RUN echo {i} $SALT > /r{i}\n" for i in range(10)) + "ENV A=b\nCMD [\"true\"]\n")
        open(d + "/a", "w").write("a")
        salt = str(time.time_ns())
        go = lambda: e.docker("build", "-q", "-t", "bench/built", "--build-arg", "SALT=" + salt, d, env={"DOCKER_BUILDKIT": "0"})
        r = {"cold_ms": ms(go), "cached_ms": ms(go)}
    e.docker("rmi", "-f", "bench/built")
    return r


SENDER = ["sh", "-c", "while :; do nc -l -p 80 -e sh -c 'dd if=/dev/zero bs=1M count=512 2>/dev/null'; done"]


def receive(inside, address, port):
    """MiB/s of 512 MiB that SENDER sends to a program in a network namespace (None: this one)."""
    cmd = f"exec 3<>/dev/tcp/{address}/{port}; head -c 536870912 <&3 >/dev/null"
    argv = (["nsenter", "--net=" + inside] if inside else []) + ["bash", "-c", cmd]
    for _ in range(50):
        time.sleep(0.1)
        t = time.perf_counter()
        if subprocess.run(argv, capture_output=True).returncode == 0:
            return 512 / (time.perf_counter() - t)
    raise RuntimeError(f"{address}:{port} never answered")


def port_of(e, cid):
    return int(e.api("GET", f"/containers/{cid}/json")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])


def c_publish_port(e):
    """A published port over loopback; beside it the same bytes over the plain bridge, from the machine to the container's address."""
    cid = create_start(e, SENDER, {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}})
    try:
        e_ns = os.environ.get("BENCH_NETNS_" + e.tag)  # network namespace that the engine runs in, when not this one
        address = e.api("GET", f"/containers/{cid}/json")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        port = port_of(e, cid)
        over = [(receive(e_ns, "127.0.0.1", port), receive(e_ns, address, 80)) for _ in range(3)]
        published, bridge = (statistics.median(v) for v in zip(*over))
        return {"MiB_per_s_via_loopback": published, "MiB_per_s_via_bridge": bridge, "loopback_over_bridge": published / bridge}
    finally:
        e.api("DELETE", f"/containers/{cid}?force=1")


def c_publish_nat(e):
    """A published port used from outside the machine, beside the same bytes between two containers on the bridge: as many links, no translation."""
    e_ns = os.environ.get("BENCH_NETNS_" + e.tag)
    if not e_ns:
        return {}  # a link would have to be made in this machine's own namespace
    marker = str(700000 + os.getpid())
    ids = [create_start(e, SENDER, {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]}}), create_start(e, ["sleep", marker])]
    outside = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    run = lambda *argv: subprocess.run(argv, check=True, capture_output=True)
    try:
        far = f"/proc/{outside.pid}/ns/net"
        while os.readlink(far) == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        run("nsenter", "--net=" + e_ns, "ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1", "netns", str(outside.pid))
        for ns, link, address in ((e_ns, "bench0", "198.51.100.1/24"), (far, "bench1", "198.51.100.2/24")):
            run("nsenter", "--net=" + ns, "ip", "addr", "add", address, "dev", link)
            run("nsenter", "--net=" + ns, "ip", "link", "set", link, "up")
        address = e.api("GET", f"/containers/{ids[0]}/json")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        near, port = f"/proc/{pid_of(marker)}/ns/net", port_of(e, ids[0])
        over = [(receive(far, "198.51.100.1", port), receive(near, address, 80)) for _ in range(3)]
        nat, bridge = (statistics.median(v) for v in zip(*over))
        return {"nat_MiB_per_s": nat, "bridge_MiB_per_s": bridge, "nat_over_bridge": nat / bridge}
    finally:
        outside.kill()
        outside.wait()
        for cid in ids:
            e.api("DELETE", f"/containers/{cid}?force=1")


def c_network_create_rm(e):
    """A user-defined network comes and goes."""
    def go():
        e.api("POST", "/networks/create", {"Name": "bench-net"})
        e.api("DELETE", "/networks/bench-net")
    return {"ms": ms(go)}


def c_network_connect(e):
    """A running container joins a second network, and leaves it."""
    e.api("POST", "/networks/create", {"Name": "bench-net"})
    cid = create_start(e, ["sleep", "600"])
    try:
        r = {"connect_ms": ms(lambda: e.api("POST", "/networks/bench-net/connect", {"Container": cid}))}
        r["disconnect_ms"] = ms(lambda: e.api("POST", "/networks/bench-net/disconnect", {"Container": cid, "Force": False}))
        return r
    finally:
        e.api("DELETE", f"/containers/{cid}?force=1")
        e.api("DELETE", "/networks/bench-net")


# asks for one name as fast as it is answered (64 questions on their way), then one at a time
ASKER = r"""
import json, socket, statistics, sys, time
name = sys.argv[1].encode()
ask = lambda i: i.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0" + bytes([len(name)]) + name + b"\0\0\1\0\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2); s.connect(("127.0.0.11", 53))
N = 60000
sent = got = lost = 0
t = time.perf_counter()
while got + lost < N:
    while sent < N and sent - got - lost < 64:
        s.send(ask(sent & 0xffff)); sent += 1
    try:
        s.recv(512); got += 1
    except TimeoutError:
        lost = sent - got
rate = got / (time.perf_counter() - t)
times = []
for i in range(5000):
    t = time.perf_counter(); s.send(ask(i)); s.recv(512); times.append((time.perf_counter() - t) * 1e3)
times.sort()
print(json.dumps({"answers_per_s": rate, "lost": lost, "p50_ms": times[2500], "p99_ms": times[4950]}))
"""


def pid_of(marker):
    """The process whose arguments end so, as this machine sees it (the engine may live in a PID namespace of its own)."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline").read().rstrip("\0").endswith(marker):
                return pid
        except OSError:
            pass
    raise RuntimeError(f"no process {marker}")


def c_dns(e):
    """Questions of one container for the name of another."""
    e.api("POST", "/networks/create", {"Name": "bench-net"})
    marker = str(600000 + os.getpid())
    ids = []
    try:
        ids.append(create_start(e, ["sleep", "600"], {"NetworkMode": "bench-net"}, "benchdb"))
        ids.append(create_start(e, ["sleep", marker], {"NetworkMode": "bench-net"}))
        argv = ["nsenter", f"--net=/proc/{pid_of(marker)}/ns/net", sys.executable, "-c", ASKER, "benchdb"]
        return json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=120).stdout)
    finally:
        for cid in ids:
            e.api("DELETE", f"/containers/{cid}?force=1")
        e.api("DELETE", "/networks/bench-net")


def c_netd_100(e):
    """Memory of the process that resolves names, with a hundred containers on one network."""
    e.api("POST", "/networks/create", {"Name": "bench-net"})
    ids = []
    try:
        ids.extend(create_start(e, ["sleep", "600"], {"NetworkMode": "bench-net"}) for _ in range(100))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                # the one that is below our daemon, not that of another one on this machine
                if open(f"/proc/{pid}/comm").read().strip() == "wharf-netd":
                    rows = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
                    fds = len(os.listdir(f"/proc/{pid}/fd"))
                    if fds > 200:
                        return {"netd_KiB": next(int(r.split()[1]) for r in rows if r.startswith("Pss:"))}
            except OSError:
                pass
        return {}
    finally:
        for cid in ids:
            e.api("DELETE", f"/containers/{cid}?force=1")
        e.api("DELETE", "/networks/bench-net")


def c_publish_1000(e):
    """Start of a container with 1,000 published ports beside one with a single port, through the API."""
    def start(count):
        bindings = {f"{p}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(20000 + p)}] for p in range(1, count + 1)}
        body = {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"PortBindings": bindings}, "ExposedPorts": {p: {} for p in bindings}}
        cid = e.api("POST", "/containers/create", body)["Id"]
        try:
            return ms(lambda: e.api("POST", f"/containers/{cid}/start"))
        finally:
            e.api("DELETE", f"/containers/{cid}?force=1")
    one = statistics.median(start(1) for _ in range(5))
    # the peer starts a process for each port: once is enough to know
    many = statistics.median(start(1000) for _ in range(3 if e.tag == "A" else 1))
    return {"one_ms": one, "thousand_ms": many, "thousand_over_one": many / one}


CASES = {k[2:]: v for k, v in list(globals().items()) if k.startswith("c_")}
ROUNDS = {"cp_1GB": 1, "own_cp_1GB": 1, "publish_1000": 1, "mounts_20": 1, "volume_ls_1000": 1, "df_20000": 1, "own_run_rm": 10, "own_run_rm_none": 10, "curve_500": 0, "run_rm": 10, "run_rm_none": 10, "api_lifecycle": 15, "api_lifecycle_none": 15, "exec": 3, "parallel_32": 3, "network_create_rm": 20, "network_connect": 10, "push_pull_200MB": 1, "pull_1GB_memory": 0}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--a"); ap.add_argument("--peer", "--b", dest="b"); ap.add_argument("--oci-peer")
    ap.add_argument("--cli", default="docker")
    ap.add_argument("--pids-a", default="wharf"); ap.add_argument("--pids-b", default="dockerd,containerd,containerd-shim,docker-proxy")
    ap.add_argument("--only"); ap.add_argument("--json"); ap.add_argument("--rounds", type=int)
    o = ap.parse_args()
    ours = None
    if not o.a:
        ours = OurHost()
        o.a = "unix://" + ours.socket
        os.environ["BENCH_NETNS_A"] = f"/proc/{ours.process.pid}/ns/net"
    engines = {"A": Engine(o.a, o.cli, o.pids_a.split(","))}
    if ours:
        engines["A"].pid_namespace = os.readlink(f"/proc/{ours.process.pid}/ns/pid_for_children")
    if o.b:
        engines["B"] = Engine(o.b if "://" in o.b else "unix://" + o.b, o.cli, o.pids_b.split(","))
    tar = busybox_tar()
    for tag, e in engines.items():
        e.tag, e.oci = tag, o.oci_peer
        e.docker("import", "-c", 'CMD ["sh"]', "-", IMAGE, input=tar)
    out = {}
    for name in (o.only.split(",") if o.only else CASES):
        got = {t: {} for t in engines}
        fail = {}
        for rnd in range((o.rounds or ROUNDS.get(name, 2)) + 1):
            for tag, e in engines.items():
                if tag in fail:
                    continue
                try:
                    r = CASES[name](e)
                except Exception as x:
                    fail[tag] = f"failed: {x}"
                    continue
                if rnd or name.startswith(("density", "load", "logs", "curve", "push_pull", "pull_1GB")):
                    for k, v in r.items():
                        got[tag].setdefault(k, []).append(v)
        figs = sorted({k for t in got for k in got[t]})
        for k in figs:
            row = {t: statistics.median(got[t][k]) for t in engines if got[t].get(k)}
            ratio = row["A"] / row["B"] if {"A", "B"} <= row.keys() and row["B"] else None
            out[f"{name}.{k}"] = dict(row, ratio=ratio)
            print(f"{name + '.' + k:45s}" + "".join(f" {t}={v:10.2f}" for t, v in row.items()) + (f"  A/B={ratio:.3f}" if ratio else ""), flush=True)
        for t, why in fail.items():
            out[f"{name}.{t}"] = why
            print(f"{name:45s} {t} {why}", flush=True)
    if o.json:
        json.dump(out, open(o.json, "w"), indent=1)
    sys.exit(1 if any(isinstance(v, str) for v in out.values()) else 0)


if __name__ == "__main__":
    main()
