#!/usr/bin/env python3
"""Push and pull of a 200 MB image of five layers with skopeo: our embedded registry beside Debian's docker-registry, in one run.

usage: registry.py WHARFD [ROUNDS]     (root; skopeo and docker-registry installed; runs in a network namespace of its own)
"""
import hashlib, json, os, shutil, subprocess, sys, tempfile, time, urllib.request

ADDRESS = "127.0.0.1:5000"


def image(folder):
    """An image in skopeo's dir: form; the layers do not compress, so that only the way to the disk is measured."""
    os.makedirs(folder)
    layers = []
    for _ in range(5):
        data = os.urandom(40 << 20)
        layers.append((hashlib.sha256(data).hexdigest(), data))
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d, _ in layers]}}).encode()
    blobs = [(hashlib.sha256(config).hexdigest(), config)] + layers
    kind = "application/vnd.oci.image."
    entry = lambda d, data, t: {"mediaType": kind + t, "digest": "sha256:" + d, "size": len(data)}
    manifest = {"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": entry(*blobs[0], "config.v1+json"),
                "layers": [entry(d, data, "layer.v1.tar+gzip") for d, data in layers]}
    for name, data in blobs + [("manifest.json", json.dumps(manifest).encode()), ("version", b"Directory Transport Version: 1.1\n")]:
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


def skopeo(*args):
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--preserve-digests", *args], check=True)


def peak_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def measure(command, work, source):
    root = os.path.join(work, "root")
    out = {"push": [], "pull": []}
    server = subprocess.Popen(command(root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://{ADDRESS}/v2/", timeout=5)
                break
            except OSError:
                time.sleep(0.02)
        begin = time.monotonic()
        skopeo("--dest-tls-verify=false", "dir:" + source, f"docker://{ADDRESS}/app:v1")
        out["push"] = time.monotonic() - begin
        target = os.path.join(work, "pulled")
        begin = time.monotonic()
        skopeo("--src-tls-verify=false", f"docker://{ADDRESS}/app:v1", "dir:" + target)
        out["pull"] = time.monotonic() - begin
        out["kib"] = peak_kib(server.pid)
        shutil.rmtree(target)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(root, ignore_errors=True)
    return out


def main():
    wharfd, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if "WHARF_BENCH_INSIDE" not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], os.environ | {"WHARF_BENCH_INSIDE": "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="registry-bench-") as work:
        source = os.path.join(work, "image")
        image(source)

        def stock(root):
            path = os.path.join(work, "stock.yml")
            with open(path, "w") as f:
                f.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: '{ADDRESS}'}}\n")
            return ["docker-registry", "serve", path]

        ours = lambda root: [wharfd, "registry", "serve", "--addr", ADDRESS, "--root", root, "--log-level", "error"]
        runs = {"ours": [], "docker-registry": []}
        for _ in range(rounds):
            for name, command in (("ours", ours), ("docker-registry", stock)):
                runs[name].append(measure(command, work, source))
        for name, results in runs.items():
            middle = lambda key: sorted(r[key] for r in results)[len(results) // 2]
            print(f"{name:16} push {middle('push'):.2f} s   pull {middle('pull'):.2f} s   peak memory {middle('kib') / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
