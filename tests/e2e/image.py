"""Container images without a container builder: folders written as OCI archives, which `ctr images import` reads.

vipkeeper's is made from what the Dockerfile lists: the files of the packages of its last stage and of those they need, taken
from this machine, the program, and its RUN, COPY and ENTRYPOINT lines. In place of the base image, which cannot be fetched,
stand the C library's own packages and busybox for the shell and what scripts call.
"""

import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MEDIA = "application/vnd.oci.image."
# Every file is unpacked three times by one slow processor. Of the packages: what nothing in a container opens.
LEFT_OUT = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/lintian/", "/usr/share/bash-completion/", "/usr/share/locale/",
            "/usr/share/ca-certificates/", "/usr/share/initramfs-tools/")
# Of the base image: what the Dockerfile, the init container and a look around call.
APPLETS = ("sh", "[", "cat", "echo", "env", "grep", "ip", "ln", "ls", "mkdir", "ps", "rm", "sed", "sleep", "test")


class ImageError(Exception):
    """An image could not be made; the text says what is missing."""


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def last_stage():
    """The instructions of the Dockerfile's last stage, [(word, rest)], with continuation lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text()).replace("\\\n", " ")
    instructions = [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]
    start = max(i for i, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[start + 1:]


def installed_packages(stage):
    [command] = [rest for word, rest in stage if word == "RUN" and "apt-get install" in rest]
    return re.search(r"--no-install-recommends\s+(.*?)\s*&&", command).group(1).split()


def copy_file(path, root):
    """A file or a link to one, at the path it has here; what a link leads to comes along."""
    path = pathlib.Path(path)
    target = root / path.relative_to("/")
    if path.is_dir() or target.exists() or target.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        destination = pathlib.Path(path.parent / path.readlink())
        target.symlink_to(path.readlink())
        if path.exists():
            copy_file(destination, root) if destination.is_symlink() else copy_file(path.resolve(), root)
    else:
        shutil.copy2(path, target)


def add_libraries(programs, root):
    for program in programs:
        listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        for library in re.findall(r"(/\S+)", listed):
            copy_file(library, root)
            real = pathlib.Path(library).resolve()
            copy_file(real, root)


def add_packages(packages, root):
    programs = []
    for package in packages:
        try:
            files = output("dpkg-query", "-L", package).splitlines()
        except subprocess.CalledProcessError:
            raise ImageError(f"package {package} of the Dockerfile is not installed here: scripts/setup.sh e2e") from None
        for name in files:
            if name.startswith(LEFT_OUT) or pathlib.Path(name).is_dir():
                continue
            # dpkg knows /sbin, the merged file system has it in /usr.
            merged = pathlib.Path("/usr" + name) if name.startswith(("/sbin/", "/bin/", "/lib/")) else pathlib.Path(name)
            if merged.exists() or merged.is_symlink():
                copy_file(merged, root)
                programs.append(str(merged))
    add_libraries([one for one in programs if "/bin/" in one or "/sbin/" in one or one.endswith(".so") or ".so." in one], root)


def base(root):
    """What stands for the base image."""
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "run", "tmp", "var/lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "var/run").symlink_to("../run")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")


def add_busybox(root):
    shutil.copy2("/bin/busybox", root / "usr/bin/busybox")
    for applet in APPLETS:
        link = root / "usr/bin" / applet
        if not link.exists() and not link.is_symlink() and not (root / "usr/sbin" / applet).exists():
            link.symlink_to("busybox")


def build_vipkeeper(program, archive):
    stage = last_stage()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        base(root)
        add_packages(installed_packages(stage), root)
        entrypoint = None
        for word, rest in stage:
            if word == "COPY":
                assert rest.startswith("--from=build /src/build/vipkeeper "), rest
                target = root / rest.split()[-1].lstrip("/")
                shutil.copy2(program, target)
                subprocess.run(["strip", target], check=True)
                add_libraries([program], root)
            elif word == "ENTRYPOINT":
                entrypoint = json.loads(rest)
        add_busybox(root)
        for word, rest in stage:
            if word == "RUN" and "apt-get" not in rest:
                subprocess.run(["chroot", root, "/bin/sh", "-ec", rest], check=True)
        write_archive(root, "localhost/vipkeeper:e2e", entrypoint, archive)


def build_static(source, name, archive):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        base(root)
        program = pathlib.Path(source).stem
        subprocess.run(["gcc", "-Os", "-static", "-s", "-Wall", "-o", root / "usr/bin" / program, HERE / source], check=True)
        write_archive(root, name, [f"/usr/bin/{program}"], archive)


def write_archive(root, name, entrypoint, archive):
    """One uncompressed layer: nothing to unzip for a slow guest. Times are 0, so the same content is the same digest."""
    def reset(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(root)), recursive=False, filter=reset)
    blobs = {}

    def put(content, media):
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": MEDIA + media, "digest": f"sha256:{digest}", "size": len(content)}

    described = put(layer.getvalue(), "layer.v1.tar")
    config = put(json.dumps({
        "architecture": ARCHITECTURES[output("uname", "-m").strip()], "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": entrypoint, "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [described["digest"]]}}).encode(), "config.v1+json")
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": config,
                               "layers": [described]}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = json.dumps({"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": [manifest]}).encode()
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index,
             **{f"blobs/sha256/{digest}": content for digest, content in blobs.items()}}
    with tarfile.open(archive, "w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def build_all(program, folder):
    """pause.tar, web.tar and vipkeeper.tar in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    build_static("pause.c", "localhost/pause:1", folder / "pause.tar")
    build_static("web.c", "localhost/web:1", folder / "web.tar")
    build_vipkeeper(program, folder / "vipkeeper.tar")
