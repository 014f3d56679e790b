"""A private Slurm of two nodes on this host, which needs root: nothing in /etc, nothing left behind.

Each node has its own network and host name (Linux namespaces), so that programs on the two find each other by address
as on a real cluster, and a node that crashes takes its processes with it. They share the file system, the cores and one
space of process numbers: UCX, under MPICH, takes equal numbers on one kernel for one process. It is not the host's, so
that what ends all processes of a kind on a node, as Ray does, leaves those of the host alone.
"""

import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[2]
NODES = ("n1", "n2")
NETWORK = "10.213.87"
BRIDGE = "fluxbench0"
CONFIGURATION = """
ClusterName=fluxbench
MailProg=/bin/true
SlurmctldHost={host}({network}.254)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=pmi2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/linux
SlurmdParameters=config_overrides
MessageTimeout=5
KillWait=5
SlurmdTimeout=5
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
NodeName=n1 NodeAddr={network}.1 NodeHostname=n1 CPUs=2
NodeName=n2 NodeAddr={network}.2 NodeHostname=n2 CPUs=2
EnforcePartLimits=ALL
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=work Nodes=n1,n2 Default=YES MaxTime=60 State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=n1,n2 MaxTime=60 State=UP PriorityTier=2
"""
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "ip", "unshare", "shellcheck")
PACKAGES = ("slurm-wlm", "munge", "iproute2", "shellcheck")
MINUTE = 60.0


class MissingError(Exception):
    """What this host lacks for a private Slurm."""


def install() -> None:
    """Install the programs, where that can be done.

    Raises:
        MissingError: saying why not.
    """
    if os.geteuid() != 0:
        raise MissingError("a private Slurm needs root (munge, several slurmd, network namespaces)")
    if not all(shutil.which(program) for program in PROGRAMS):
        if not shutil.which("apt-get"):
            raise MissingError(f"no apt-get to install {', '.join(PACKAGES)} with")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            done = subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=120", *command],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise MissingError(f"apt-get {command[0]}: {done.stderr.strip()}")
    trial = ["unshare", "--net", "--uts", "--mount", "true"]
    if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        raise MissingError("no network namespaces here (unshare)")
    _delete_links()
    if subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], capture_output=True, check=False).returncode:
        raise MissingError("no network bridge can be made here (ip link)")
    _delete_links()


def _delete_links() -> None:
    for link in (BRIDGE, *(f"fb-{node}" for node in NODES)):
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)


def _network(pid: int) -> str:
    """Return the network namespace that a process is in; an empty string if it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


class PrivateSlurm:
    """A Slurm of two nodes, started and stopped as a context.

    Args:
        folder: where its state and logs lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        for name in self.environment.copy():
            if name.startswith(("SLURM_", "SBATCH_")) and name != "SLURM_CONF":
                del self.environment[name]
        self.daemons: list[subprocess.Popen[str]] = []
        self.nodes: dict[str, subprocess.Popen[str]] = {}
        self.processes: list[str] = []
        self.networks: dict[str, str] = {}

    def __enter__(self) -> "PrivateSlurm":
        for name in ("munge", "state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(folder=self.folder, network=NETWORK, host=platform.node())
        )
        hosts = ["127.0.0.1 localhost", f"{NETWORK}.254 {platform.node()}"]
        hosts += [f"{NETWORK}.{i} {node}" for i, node in enumerate(NODES, 1)]
        (self.folder / "hosts").write_text("\n".join(hosts) + "\n")
        try:
            self._link()
            self._munge()
            self.daemons.append(self._start(["slurmctld", "-D", "-c"], "slurmctld"))
            self.until(lambda: self.run("scontrol", "ping").returncode == 0, "slurmctld")
            self._processes()
            for node in NODES:
                self.boot(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in list(self.nodes):
            self.crash(node)
        for daemon in reversed(self.daemons):
            with daemon:  # closes its input
                daemon.terminate()
        _delete_links()

    def _start(self, command: list[str], name: str) -> subprocess.Popen[str]:
        with (self.folder / f"{name}.out").open("a") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],  # not to outlive a test run that is killed
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
            )

    def _link(self) -> None:
        _delete_links()
        for command in (
            f"link add {BRIDGE} type bridge",
            f"address add {NETWORK}.254/24 dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ):
            subprocess.run(["ip", *command.split()], check=True)

    def _munge(self) -> None:
        folder = self.folder / "munge"
        key = folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        command = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder / 'socket'}"]
        command += [f"--pid-file={folder / 'pid'}", f"--log-file={folder / 'log'}", f"--seed-file={folder / 'seed'}"]
        self.daemons.append(self._start(command, "munged"))
        self.until((folder / "socket").exists, "munged")

    def _processes(self) -> None:
        """Make the nodes' space of process numbers; its first process, with which it ends, waits for orphans."""
        first = self._start(["unshare", "--pid", "--fork", "--kill-child", "bash", "-c", "cat; true"], "processes")
        self.daemons.append(first)
        self.until(lambda: bool(psutil.Process(first.pid).children()), "the first process")
        (inside,) = psutil.Process(first.pid).children()
        self.processes = ["nsenter", f"--pid=/proc/{inside.pid}/ns/pid"]

    def boot(self, node: str) -> None:
        """Start a node, and wait until Slurm has it."""
        script = str(Path(__file__).with_name("node.sh"))
        command = ["unshare", "--net", "--uts", "--mount", *self.processes]
        command += ["bash", script, node, str(self.folder), "slurmd", "-D", "-N", node]
        process = self._start(command, node)
        self.nodes[node] = process
        ours = _network(os.getpid())
        self.until(lambda: _network(process.pid) != ours, f"node {node}")
        self.networks[node] = _network(process.pid)
        ip = f"link add fb-{node} type veth peer name eth0 netns {process.pid}"
        for command in (ip.split(), ["link", "set", f"fb-{node}", "master", BRIDGE, "up"]):
            subprocess.run(["ip", *command], check=True)
        assert process.stdin is not None
        with process.stdin as line:
            line.write(f"{NETWORK}.{NODES.index(node) + 1}/24\n")
        self.until(lambda: self.state_of(node).startswith(("idle", "mix", "alloc")), f"slurmd of {node}")

    def crash(self, node: str) -> None:
        """Kill everything that runs on a node, as a loss of power would."""
        process = self.nodes.pop(node)
        network = self.networks.pop(node)
        while left := [pid for pid in psutil.pids() if pid != process.pid and _network(pid) == network]:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        subprocess.run(["ip", "link", "delete", f"fb-{node}"], capture_output=True, check=False)

    def kill_daemon(self, node: str) -> None:
        """Kill a node's slurmd alone: its jobs go on, and Slurm does not know."""
        process = self.nodes[node]
        (daemon,) = psutil.Process(process.pid).children()
        daemon.kill()
        process.wait()

    def start_daemon(self, node: str) -> None:
        """Start a slurmd that was killed alone, among the processes that it has left."""
        network = self.networks[node]
        inside = next(pid for pid in psutil.pids() if _network(pid) == network)
        command = ["nsenter", f"--target={inside}", "--net", "--uts", "--mount", "--pid", "slurmd", "-D", "-N", node]
        self.nodes[node] = process = self._start(command, node)
        assert process.stdin is not None
        process.stdin.close()
        self.until(lambda: self.state_of(node).startswith(("idle", "mix", "alloc")), f"slurmd of {node}")

    def state_of(self, node: str) -> str:
        """Return the state in which Slurm has a node, such as ``idle`` or ``mix``."""
        return self.run("sinfo", "--noheader", f"--nodes={node}", "--format=%t").stdout.strip()

    def run(self, *command: str, **options: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Slurm's, or a script that calls some, in the checkout; options are environment variables."""
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env=self.environment | options,
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * MINUTE,
        )

    def until(self, condition: Callable[[], bool], what: str, seconds: float = MINUTE) -> None:
        """Wait for something that Slurm tells to nobody, so that it has to be asked.

        Raises:
            TimeoutError: if it is not there in time.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not there after {seconds:g} s; see {self.folder}")
            time.sleep(0.2)
