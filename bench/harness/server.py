# SPDX-License-Identifier: MIT
"""A generated site behind nginx on loopback, in memory, for as long as a bench lasts."""
import os
import shutil
import socket
import tempfile
import time

from . import machine, process
from .build import Missing
from .model import find_program

PAGE_BYTES = 32768
CONFIG = """
daemon off;
master_process off;  # one process: its CPU time is the server's
{user}
pid {dir}/nginx.pid;
error_log {dir}/error.log crit;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off;
  types {{ text/html html; text/plain txt; application/xml xml; }}
  default_type application/octet-stream;
  charset utf-8;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 75; keepalive_requests 1000000000;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {dir}/site; }}
}}
"""
PREFIX = "hob-bench-"


def memory_folder(need):
    """A folder in tmpfs if it has room: pages from disk make runs differ many times over."""
    parent = None
    try:
        room = os.statvfs("/dev/shm")
        if os.access("/dev/shm", os.W_OK) and room.f_bavail * room.f_frsize > 2 * need:
            parent = "/dev/shm"
    except OSError:
        pass
    if parent:
        sweep(parent)
    path = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)
    os.chmod(path, 0o755)
    return path, parent is not None


def sweep(parent):
    """Remove what a killed bench of ours left in memory."""
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        owner = name[len(PREFIX):].split("-")[0]
        if name.startswith(PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}") \
                and os.stat(path).st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Served:
    """with Served(site, src, cores) as s: s.names, s.pid; gone without a trace afterwards."""

    def __init__(self, site, src, cores):
        self.site, self.src, self.cores = site, src, cores
        self.proc = None
        self.dir, self.in_memory = memory_folder(site.pages * PAGE_BYTES)

    def __enter__(self):
        try:
            self.generate()
            self.serve()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if self.proc:
            process.end(self.proc)
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def pid(self):
        return self.proc.pid

    def generate(self):
        made = process.run(["/usr/bin/python3", f"{self.src}/site/gensite.py", f"{self.dir}/site",
                            "--pages", str(self.site.pages)], timeout=600,
                           cores=self.cores.all)
        if made.status != 0:
            raise Missing(f"the site was not generated: {made.err.strip()}")
        with open(f"{self.dir}/site/MANIFEST.sha256", encoding="ascii") as f:
            self.manifest = f.read().strip()

    def serve(self):
        nginx = find_program("nginx")
        if not nginx:
            raise Missing("no program nginx, the server of this bench")
        for _ in range(5):  # another process may take the port between choosing and binding
            port = free_port()
            self.config(port)
            self.proc = process.start([nginx, "-p", self.dir, "-e", f"{self.dir}/error.log",
                                       "-c", f"{self.dir}/nginx.conf"], cores=self.cores.server)
            if self.answers(port):
                self.lists(port)
                return
            process.end(self.proc)
            self.proc = None
        with open(f"{self.dir}/error.log", encoding="utf-8", errors="replace") as f:
            raise Missing("nginx does not start: " + f.read().strip()[-200:])

    def config(self, port):
        user = "user root;" if os.geteuid() == 0 else ""
        with open(f"{self.dir}/nginx.conf", "w", encoding="ascii") as f:
            f.write(CONFIG.format(dir=self.dir, port=port, user=user))

    def answers(self, port):
        until = time.monotonic() + 5
        while time.monotonic() < until and self.proc.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def lists(self, port):
        """The URLs as a list and as curl's configuration; a repeat is a URL of its own."""
        base = f"http://127.0.0.1:{port}"
        with open(f"{self.dir}/site/urls.txt", encoding="ascii") as f:
            paths = f.read().split()
        urls = [base + p + (f"?again={k}" if k else "")
                for k in range(self.site.repeat) for p in paths]
        with open(f"{self.dir}/list", "w", encoding="ascii") as f:
            f.write("".join(u + "\n" for u in urls))
        with open(f"{self.dir}/curl", "w", encoding="ascii") as f:
            f.write("".join(f'url = "{u}"\noutput = /dev/null\n' for u in urls))
        self.names = {"list": f"{self.dir}/list", "curl": f"{self.dir}/curl",
                      "start": base + "/index.html", "tmp": f"{self.dir}/tmp"}

    def cpu(self):
        return machine.process_cpu(self.pid)
