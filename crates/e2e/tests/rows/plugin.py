"""A volume plugin of the test rows: hands out folders below ROOT, as an sshfs plugin hands out its mounts.

usage: plugin.py SOCKET ROOT. Every call is a line in ROOT/log; volumes are what ROOT/volumes has.
SOCKET may be tls:PORT:FOLDER: TLS at the loopback address, with the certificate in FOLDER, for clients whom its CA knows.
"""
import http.server, json, os, shutil, socketserver, ssl, sys, threading

socket, root = sys.argv[1:]
os.makedirs(root + "/volumes", exist_ok=True)


def volume(name):
    return {"Name": name, "Mountpoint": f"{root}/volumes/{name}", "CreatedAt": "2024-01-02T03:04:05Z", "Status": {"owner": "plugin"}}


def answer(method, body):
    name = body.get("Name", "")
    path = f"{root}/volumes/{name}"
    known = os.path.isdir(path) and name != ""
    if method == "Plugin.Activate":
        return {"Implements": ["VolumeDriver"]}
    if method == "VolumeDriver.Capabilities":
        return {"Capabilities": {"Scope": "global"}}
    if method == "VolumeDriver.Create":
        if body.get("Opts", {}).get("fail"):
            return {"Err": "this one fails"}
        os.makedirs(path, exist_ok=True)
        return {"Err": ""}
    if method == "VolumeDriver.List":
        return {"Volumes": [volume(name) for name in sorted(os.listdir(root + "/volumes"))]}
    if not known:
        return {"Err": f"no such volume {name}"}
    if method == "VolumeDriver.Remove":
        shutil.rmtree(path)
        return {}
    if method == "VolumeDriver.Get":
        return {"Volume": volume(name)}
    return {"Mountpoint": path}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(body) if body else {}
        method = self.path.lstrip("/")
        with open(root + "/log", "a") as log:
            log.write(f"{method} {body.get('Name', '')} {bool(body.get('ID'))}\n")
        out = json.dumps(answer(method, body)).encode()
        self.send_response(500 if json.loads(out).get("Err") else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "engine"


class Server(socketserver.ThreadingUnixStreamServer):
    pass


if socket.startswith("tls:"):
    _, port, folder = socket.split(":", 2)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/tls.crt", folder + "/tls.key")
    context.load_verify_locations(folder + "/ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
else:
    os.makedirs(os.path.dirname(socket), exist_ok=True)
    if os.path.exists(socket):
        os.unlink(socket)
    server = Server(socket, Handler)
# ends with its input
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print("ready", flush=True)
server.serve_forever()
