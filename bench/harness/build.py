# SPDX-License-Identifier: MIT
"""Build hob's release and the peers' programs, all of it outside the source tree.

Words that steps and command lines may use in braces:
  {src}      the folder bench/                 {out}            where this program is built
  {release}  meson's folder of hob's release   {hob}            the tool in it
  {peers}    the folder of all built peers     {cargo} {rustc}  Debian's, if they are there
"""
import json
import os
import shutil

from . import process
from .model import fill, find_program

BUILD_TIMEOUT_S = 900


class Missing(Exception):
    """A subject that cannot run here, and why."""


def debian_first(name):
    """Debian's crates want Debian's compiler; a newer one elsewhere in PATH is the second choice."""
    return find_program("/usr/bin/" + name) or find_program(name) or name


class Builder:
    def __init__(self, src, top, cores):
        self.src, self.top, self.cores = src, top, cores
        self.root = os.path.join(top, "build")
        self.names = {
            "src": src,
            "peers": os.path.join(self.root, "bench-peers"),
            "release": self.root,
            "hob": os.path.join(self.root, "cmd", "hob"),
            "cargo": debian_first("cargo"),
            "rustc": debian_first("rustc"),
        }
        self.done = {}

    def release(self):
        """Build hob, with the same options as `./run build`; raises Missing if that fails."""
        if not os.path.exists(os.path.join(self.root, "build.ninja")):
            self.step(["meson", "setup", self.root, self.top, "--buildtype=release",
                       "-Dtests=false"], self.top)
        options = {o["name"]: o["value"] for o in json.loads(self.step(
            ["meson", "introspect", "--buildoptions", self.root], self.top))}
        if options["buildtype"] != "release" or options["b_sanitize"] != "none":
            raise Missing("build/ is configured as something else than a plain release:"
                          " figures from it would mean nothing; ./run build sets it right")
        self.ninja("all")

    def ninja(self, target):
        self.step(["ninja", "-C", self.root, target], self.top)

    def step(self, argv, cwd, env=None):
        try:
            run = process.run(argv, cwd=cwd, env=env, cores=self.cores,
                              timeout=BUILD_TIMEOUT_S)
        except OSError as e:
            raise Missing(f"{argv[0]}: {e.strerror}") from None
        if run.status != 0:
            lines = (run.err + run.out).strip().splitlines() or [f"exit status {run.status}"]
            wrong = [line for line in lines if "error" in line.lower()]
            raise Missing(f"{os.path.basename(argv[0])} failed: {(wrong or lines)[0].strip()}")
        return run.out

    def build(self, build):
        """Build one peer, once; the next bench that wants it gets the same answer."""
        if build.name not in self.done:
            try:
                self.build_now(build)
                self.done[build.name] = None
            except Missing as e:
                self.done[build.name] = e
        if self.done[build.name]:
            raise self.done[build.name]

    def build_now(self, build):
        out = os.path.join(self.names["peers"], build.name)
        os.makedirs(out, exist_ok=True)
        if build.copy:
            shutil.copytree(os.path.join(self.src, "peers", build.copy), out, dirs_exist_ok=True)
        names = {**self.names, "out": out}
        env = {key: fill([value], names)[0] for key, value in build.env.items()}
        for step in build.steps:
            self.step(fill(step, names), out, env)

    def check(self, subject, names):
        """Make the subject ready to run; raises Missing with the reason."""
        for need in subject.needs:
            kind, _, module = need.partition(":")
            if kind == "python":
                self.step(["/usr/bin/python3", "-c", f"import {module}"], "/")
            elif not find_program(need):
                raise Missing(f"no program {need}")
        if subject.build:
            self.build(subject.build)
        program = fill(subject.argv[:1], names)[0]
        if not find_program(program):
            raise Missing("no program " + program.removeprefix(self.top + "/"))
