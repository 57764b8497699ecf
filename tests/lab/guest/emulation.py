"""A guest that is Debian's own kernel, emulated by qemu: it has what User Mode Linux lacks, nftables' ip family first of all.

The machine is qemu's microvm with virtio devices only. Files come by virtiofs, from two daemons: this machine's root file
system, cached for good as nothing in it changes that matters, and the job directory, not cached at all as both sides write it.
An initramfs of busybox and a few modules mounts them and goes on with init.sh, as User Mode Linux does from the start.

Time in there is counted in instructions (-icount): a busy guest's clock advances 2 ns with each one, an idle guest's with the
real time. So it looks from inside like a machine of constant speed, however slow or loaded the real one is: timers of 10 ms keep,
no wait has to be more patient, and a kernel that measures its clocks while it boots does not give up over it (without, it does
wherever the CPUs are busy). The price is about a quarter more work, and that busy guests take longer than their clocks say.
"""

import shutil
import socket

import debian_kernel
import guest
import initramfs

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
NANOSECONDS_PER_INSTRUCTION = 2
EARLY_MODULES = ("virtio_mmio", "virtio_console", "virtiofs")
# Waits for nothing: the daemons inherit their listening sockets. PID 1 is this shell, so that all ends with qemu.
START = """
"$0" --fd="$1" -o "source=/,cache=always,$3" >&2 &
"$0" --fd="$2" -o "source=$4,cache=none,$3" >&2 &
shift 4
"$@"
exit $?
"""


class Emulation(guest.Guest):
    packages = {**guest.Guest.packages, "qemu-system-x86_64": "qemu-system-x86", VIRTIOFSD: "qemu-system-common", "depmod": "kmod"}

    def __init__(self, *arguments, **options):
        if options.get("tap"):
            raise guest.GuestError("LAB=emulation has no wire to the host: its clock is not the host's (leave out --control-plane)")
        super().__init__(*arguments, **options)
        self.kernel = debian_kernel.find()

    @classmethod
    def require(cls):
        super().require()
        debian_kernel.find()

    def settings(self):
        return {"inside": "emulation", "files": "virtiofs", "line": "/dev/hvc0", "module_tree": self.kernel / "lib/modules",
                "init": guest.INIT}

    def command(self):
        modules = debian_kernel.with_dependencies(self.kernel, EARLY_MODULES)
        (self.job / "initramfs").write_bytes(initramfs.build(shutil.which("busybox"), modules))
        self.listening = [self.listen(name) for name in ("root", "job")]
        descriptors = [one.fileno() for one in self.listening]
        parameters = ["console=ttyS0", "quiet", "panic=-1", "reboot=t", "mitigations=off", "pci=off", *self.kernel_parameters()]
        qemu = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "microvm,acpi=on,memory-backend=memory", "-global", "virtio-mmio.force-legacy=false",
            "-object", f"memory-backend-memfd,id=memory,size={self.memory_mb}M,share=on", "-m", str(self.memory_mb),
            "-accel", "tcg,thread=single,tb-size=256", "-cpu", "max", "-smp", "1",
            "-icount", f"shift={NANOSECONDS_PER_INSTRUCTION.bit_length() - 1},sleep=on",
            "-kernel", next(self.kernel.glob("boot/vmlinuz-*")), "-initrd", self.job / "initramfs", "-append", " ".join(parameters),
            "-chardev", f"file,id=console,append=on,path={self.job}/console", "-serial", "chardev:console",
            "-chardev", "stdio,id=line,signal=off", "-device", "virtio-serial-device", "-device", "virtconsole,chardev=line",
        ]
        for name in ("root", "job"):
            qemu += ["-chardev", f"socket,id={name},path={self.job}/{name}.socket",
                     "-device", f"vhost-user-fs-device,chardev={name},tag={name}"]
        daemons = [VIRTIOFSD, *map(str, descriptors), "sandbox=chroot,no_xattr,log_level=err", self.job]
        return ["sh", "-c", START, *map(str, [*daemons, *qemu])], descriptors

    def listen(self, name):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.bind(str(self.job / f"{name}.socket"))
        one.listen(1)
        return one
