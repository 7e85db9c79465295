"""What a kubelet asks of a CRI runtime. A line for each, with tabs: verdict, name, what the user was told.

What went wrong stands in a line before it."""

import base64
import itertools
import json
import os
import re
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import websocket
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

IMAGE, ONLY = sys.argv[1], sys.argv[2]
LAB = Path(os.environ["lab"])


def api():
    """The API as containerd itself describes it: its program carries a compressed copy of runtime.v1."""
    program = Path("/usr/bin/containerd").read_bytes()
    for found in re.finditer(re.escape(b"\x1f\x8b\x08"), program):
        try:
            text = zlib.decompressobj(31).decompress(program[found.start() : found.start() + 100_000])
        except zlib.error:
            continue
        if text.startswith(b"\n\tapi.proto\x12\nruntime.v1\x1a"):
            file = descriptor_pb2.FileDescriptorProto.FromString(text)
            # Its options are about Go.
            file.ClearField("dependency")
            pool = descriptor_pool.DescriptorPool()
            pool.Add(file)
            return pool
    sys.exit("containerd does not describe runtime.v1")


POOL = api()
CHANNEL = grpc.insecure_channel("unix:///run/containerd/containerd.sock")
RUNTIME = POOL.FindServiceByName("runtime.v1.RuntimeService")


class Refused(Exception):
    pass


class Skipped(Exception):
    pass


def call(method, **fields):
    """A call of RuntimeService; its answer as plain data."""
    about = RUNTIME.methods_by_name[method]
    request = json_format.ParseDict(fields, message_factory.GetMessageClass(about.input_type)())
    answer = message_factory.GetMessageClass(about.output_type)
    stub = CHANNEL.unary_unary(
        f"/runtime.v1.RuntimeService/{method}", type(request).SerializeToString, answer.FromString
    )
    try:
        reply = stub(request, timeout=60)
    except grpc.RpcError as error:
        raise Refused(error.details()) from None
    return json_format.MessageToDict(reply, preserving_proto_field_name=True)


def own_pids(linux):
    """With a pid namespace for each container, as a kubelet asks for it, where nothing else is said."""
    security = {"namespace_options": {"pid": "CONTAINER"}, **linux.get("security_context", {})}
    return {**linux, "security_context": security}


class Pod:
    """A sandbox; everything in it goes when the block ends."""

    numbers = itertools.count()

    def __init__(self, handler="", linux=None, **config):
        name = f"pod{next(Pod.numbers)}"
        self.directory = LAB / "tmp" / name
        self.directory.mkdir()
        self.config = {
            "metadata": {"name": name, "uid": name, "namespace": "default"},
            "hostname": name,
            "log_directory": str(self.directory),
            "linux": own_pids({"cgroup_parent": f"/kubepods/{name}", **(linux or {})}),
            **config,
        }
        self.handler = handler
        self.containers = 0

    def __enter__(self):
        reply = call("RunPodSandbox", config=self.config, runtime_handler=self.handler)
        self.id = reply["pod_sandbox_id"]
        return self

    def __exit__(self, *_):
        if self.id:
            call("StopPodSandbox", pod_sandbox_id=self.id)
            call("RemovePodSandbox", pod_sandbox_id=self.id)

    def status(self):
        return call("PodSandboxStatus", pod_sandbox_id=self.id)["status"]

    def create(self, *command, linux=None, **config):
        self.containers += 1
        name = f"c{self.containers}"
        config = {
            "metadata": {"name": name},
            "image": {"image": IMAGE},
            "command": list(command) or ["sleep", "1000"],
            "log_path": f"{name}.log",
            "linux": own_pids(linux or {}),
            **config,
        }
        reply = call("CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config)
        return Container(reply["container_id"], self.directory / f"{name}.log")

    def run(self, *command, **config):
        container = self.create(*command, **config)
        call("StartContainer", container_id=container.id)
        return container

    def output(self, *command, **config):
        """What a container prints that runs to its end."""
        container = self.run(*command, **config)
        container.ended()
        return container.logged()


class Container:
    def __init__(self, id, log):
        self.id, self.log = id, log

    def status(self):
        return call("ContainerStatus", container_id=self.id)["status"]

    def ended(self):
        eventually(lambda: self.status()["state"] == "CONTAINER_EXITED")
        return self.status()

    def logged(self):
        """The log without times, names of streams, and tags."""
        return "".join(line.split(" ", 3)[3] for line in self.log.open())

    def exec(self, *command, timeout=10):
        reply = call("ExecSync", container_id=self.id, cmd=list(command), timeout=timeout)
        return bytes_of(reply, "stdout"), bytes_of(reply, "stderr"), reply.get("exit_code", 0)

    def stop(self, timeout=0):
        call("StopContainer", container_id=self.id, timeout=timeout)

    def pid(self):
        info = call("ContainerStatus", container_id=self.id, verbose=True)["info"]["info"]
        return json.loads(info)["pid"]

    def cgroup_file(self, controller, name):
        for line in Path(f"/proc/{self.pid()}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == controller:
                return Path(f"/sys/fs/cgroup/{controller}{path}/{name}").read_text().strip()
        raise AssertionError(f"no {controller} cgroup")

    def namespace(self, kind):
        return os.readlink(f"/proc/{self.pid()}/ns/{kind}")


def bytes_of(reply, field):
    return base64.b64decode(reply.get(field, "")).decode()


def eventually(condition):
    for _ in range(100):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come true in ten seconds")


def stream(method, input=None, resize=None, **fields):
    """Exec or Attach through the streaming server: what came on each channel, and the status at the end."""
    url = call(method, **fields)["url"].replace("http://", "ws://")
    connection = websocket.create_connection(url, subprotocols=["v4.channel.k8s.io"], timeout=20)
    if resize:
        connection.send_binary(b"\x04" + json.dumps(resize).encode())
    if input:
        connection.send_binary(b"\x00" + input.encode())
    channels = {1: b"", 2: b"", 3: b""}
    while True:
        code, data = connection.recv_data()
        if code == websocket.ABNF.OPCODE_CLOSE:
            break
        if data:
            channels[data[0]] = channels.get(data[0], b"") + data[1:]
    connection.close()
    return channels[1].decode(), channels[2].decode(), json.loads(channels[3] or b"{}")


CHECKS = []


def check(name):
    return lambda function: CHECKS.append((name, function))


def equal(expected, found):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def contains(part, text):
    assert part in text, f"expected {part!r} in {text!r}"


def refusal(action):
    try:
        action()
    except Refused as refused:
        return str(refused)
    raise AssertionError("it was not refused")


@check("version")
def _():
    equal("containerd", call("Version")["runtime_name"])


@check("sandbox: ready, with an address, stopped, removed")
def _():
    with Pod() as pod:
        equal("SANDBOX_READY", pod.status().get("state", "SANDBOX_READY"))
        assert pod.status()["network"]["ip"].startswith("10.77."), pod.status()
        call("StopPodSandbox", pod_sandbox_id=pod.id)
        equal("SANDBOX_NOTREADY", pod.status()["state"])


@check("container: created, running, its log, its exit code")
def _():
    with Pod() as pod:
        container = pod.create("sh", "-c", "echo out; echo err >&2; sleep 0.5; exit 3")
        equal("CONTAINER_CREATED", container.status().get("state", "CONTAINER_CREATED"))
        call("StartContainer", container_id=container.id)
        equal("CONTAINER_RUNNING", container.status()["state"])
        status = container.ended()
        equal((3, "Error"), (status["exit_code"], status["reason"]))
        equal(["err\n", "out\n"], sorted(container.logged().splitlines(True)))
        assert "stderr F err" in container.log.read_text()


@check("container: completed")
def _():
    with Pod() as pod:
        equal("Completed", pod.run("true").ended()["reason"])


def start_refused(*command, **config):
    with Pod() as pod:
        container = pod.create(*command, **config)
        text = refusal(lambda: call("StartContainer", container_id=container.id))
        status = container.status()
        return f"{text} / {status.get('reason')} {status.get('exit_code')}"


for label, program in [
    ("no such program", "no-such-program"),
    ("no such path", "/no/such/program"),
    ("not executable", "/etc/passwd"),
    ("a directory", "/data"),
]:
    check(f"container: {label}")(lambda program=program: start_refused(program))
    check(f"exec sync: {label}")(
        lambda program=program: in_container(lambda container: refusal(lambda: container.exec(program)))
    )


def in_container(action, *command, **config):
    with Pod() as pod:
        return action(pod.run(*command, **config))


@check("exec sync: output, standard error, exit code")
def _():
    found = in_container(lambda container: container.exec("sh", "-c", "echo out; echo err >&2; exit 7"))
    equal(("out\n", "err\n", 7), found)


@check("exec sync: a time limit")
def _():
    def limited(container):
        text = refusal(lambda: container.exec("sleep", "50", timeout=1))
        contains("timeout 1s exceeded", text)
        assert "sleep 50" not in container.exec("ps")[0]

    in_container(limited)


@check("exec sync: twenty at once, as probes are")
def _():
    def probes(container):
        with ThreadPoolExecutor(20) as pool:
            found = pool.map(lambda _: container.exec("echo", "x")[0], range(20))
            equal(["x\n"] * 20, list(found))

    in_container(probes)


@check("exec sync: of a container that has ended")
def _():
    with Pod() as pod:
        container = pod.run("true")
        container.ended()
        return refusal(lambda: container.exec("true"))


@check("exec, streaming: standard input, output, exit code")
def _():
    def streamed(container):
        command = ["sh", "-c", "read line; echo got $line; echo err >&2; exit 4"]
        out, err, status = stream(
            "Exec", input="x\n", stdin=True, container_id=container.id, cmd=command, stdout=True, stderr=True
        )
        equal(("got x\n", "err\n", "Failure"), (out, err, status["status"]))
        contains('"4"', json.dumps(status))

    in_container(streamed)


@check("exec, streaming: a terminal with its size")
def _():
    def streamed(container):
        out, _, status = stream(
            "Exec",
            resize={"Width": 77, "Height": 33},
            container_id=container.id,
            input="exit\n",
            cmd=["sh", "-c", "sleep 0.5; stty size; tty; read line"],
            tty=True,
            stdin=True,
            stdout=True,
        )
        contains("33 77\r\n/dev/pts/0\r\n", out)
        equal("Success", status["status"])

    in_container(streamed)


@check("exec, streaming: no such program")
def _():
    return in_container(
        lambda container: stream(
            "Exec", container_id=container.id, cmd=["no-such-program"], stdout=True, stderr=True
        )[2].get("message", "")
    )


@check("attach, streaming: standard input and output")
def _():
    with Pod() as pod:
        container = pod.run("sh", "-c", "read line; echo got $line; sleep 0.5", stdin=True, stdin_once=True)
        out, _, _ = stream("Attach", input="x\n", stdin=True, container_id=container.id, stdout=True)
        equal("got x\n", out)


@check("container: a terminal")
def _():
    with Pod() as pod:
        contains("/dev/pts/0", pod.output("tty", tty=True))


@check("port-forward, streaming")
def _():
    with Pod() as pod:
        pod.run("nc", "-l", "-p", "5000", "-e", "echo", "hello")
        time.sleep(0.3)
        url = call("PortForward", pod_sandbox_id=pod.id, port=[5000])["url"].replace("http://", "ws://")
        protocols = ["v4.channel.k8s.io"]
        connection = websocket.create_connection(f"{url}?port=5000", subprotocols=protocols, timeout=10)
        data = b""
        while b"hello" not in data:
            code, frame = connection.recv_data()
            assert code != websocket.ABNF.OPCODE_CLOSE, data
            data += frame
        connection.close()


@check("stop: the program ends itself")
def _():
    with Pod() as pod:
        container = pod.run("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done")
        eventually(lambda: "ready" in container.logged())
        container.stop(10)
        equal(9, container.status()["exit_code"])


@check("stop: killed after the time limit")
def _():
    with Pod() as pod:
        container = pod.run()
        container.stop(1)
        equal(137, container.status()["exit_code"])


@check("remove of a running container, of a running sandbox")
def _():
    with Pod() as pod:
        container = pod.run()
        pid = container.pid()
        call("RemoveContainer", container_id=container.id)
        assert not Path(f"/proc/{pid}").exists()
        pid = pod.run().pid()
        call("RemovePodSandbox", pod_sandbox_id=pod.id)
        pod.id = None
        assert not Path(f"/proc/{pid}").exists()


@check("memory: what needs more is killed, and the reason is OOMKilled")
def _():
    with Pod() as pod:
        container = pod.run("tail", "/dev/zero", linux={"resources": {"memory_limit_in_bytes": 24 << 20}})
        status = container.ended()
        equal(("OOMKilled", 137), (status["reason"], status["exit_code"]))


@check("resources: in the cgroup, and updated")
def _():
    if not Path("/sys/fs/cgroup/memory").exists():
        raise Skipped("it reads files of cgroup v1")
    processors = {"cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000, "cpuset_cpus": "0"}
    with Pod() as pod:
        container = pod.run(linux={"resources": {"memory_limit_in_bytes": 64 << 20, **processors}})
        equal("50000", container.cgroup_file("cpu", "cpu.cfs_quota_us"))
        equal("512", container.cgroup_file("cpu", "cpu.shares"))
        equal("0", container.cgroup_file("cpuset", "cpuset.cpus"))
        equal(str(64 << 20), container.cgroup_file("memory", "memory.limit_in_bytes"))
        contains(f"/kubepods/{pod.config['hostname']}/", Path(f"/proc/{container.pid()}/cgroup").read_text())
        new = {"memory_limit_in_bytes": 48 << 20, "cpu_quota": 25000, "cpu_period": 100000}
        call("UpdateContainerResources", container_id=container.id, linux=new)
        equal("25000", container.cgroup_file("cpu", "cpu.cfs_quota_us"))
        equal(str(48 << 20), container.cgroup_file("memory", "memory.limit_in_bytes"))
        equal(0, container.exec("sh", "-c", "echo x >/dev/null")[2])


@check("stats of a container and of a pod")
def _():
    with Pod() as pod:
        container = pod.run()
        stats = call("ContainerStats", container_id=container.id)["stats"]
        assert int(stats["memory"]["working_set_bytes"]["value"]) > 0, stats
        stats = call("PodSandboxStats", pod_sandbox_id=pod.id)["stats"]
        assert int(stats["linux"]["memory"]["working_set_bytes"]["value"]) > 0, stats


@check("user: number, name, group, supplemental groups")
def _():
    with Pod() as pod:
        run = lambda **security: pod.output("id", linux={"security_context": security})
        contains("uid=1234 gid=0", run(run_as_user={"value": 1234}))
        contains("uid=1234 gid=55", run(run_as_user={"value": 1234}, run_as_group={"value": 55}))
        contains("uid=1000(user) gid=1000(user)", run(run_as_username="user"))
        contains("777", run(run_as_user={"value": 1}, supplemental_groups=[777]))


@check("read-only root file system")
def _():
    with Pod() as pod:
        security = {"readonly_rootfs": True}
        contains("Read-only", pod.output("touch", "/x", linux={"security_context": security}))


def status_of(pod, pattern, **security):
    text = pod.output("grep", "-E", pattern, "/proc/self/status", linux={"security_context": security})
    return text.replace("\t", " ").replace("\n", " ")


@check("capabilities: added, dropped")
def _():
    with Pod() as pod:
        only = {"drop_capabilities": ["ALL"], "add_capabilities": ["NET_ADMIN"]}
        contains("CapEff: 0000000000001000", status_of(pod, "CapEff", capabilities=only))
        return status_of(pod, "Cap") + status_of(pod, "Cap", capabilities={"add_capabilities": ["SYS_TIME"]})


@check("privileged")
def _():
    security = {"privileged": True}
    with Pod(linux={"security_context": security}) as pod:
        contains("ffff", status_of(pod, "CapEff", **security))
        contains("loop-control", pod.output("ls", "/dev", linux={"security_context": security}))


@check("no new privileges, masked and read-only paths")
def _():
    with Pod() as pod:
        contains("NoNewPrivs: 1", status_of(pod, "NoNewPrivs", no_new_privs=True))
        security = {"masked_paths": ["/etc/passwd"], "readonly_paths": ["/data"]}
        script = "cat /etc/passwd; touch /data/x 2>&1"
        text = pod.output("sh", "-c", script, linux={"security_context": security})
        assert "root" not in text and "Read-only" in text, text


@check("seccomp: of the runtime, none, of the user")
def _():
    profile = LAB / "tmp" / "cri-profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    with Pod() as pod:
        contains("Seccomp: 2", status_of(pod, "Seccomp:", seccomp={"profile_type": "RuntimeDefault"}))
        contains("Seccomp: 0", status_of(pod, "Seccomp:", seccomp={"profile_type": "Unconfined"}))
        security = {"seccomp": {"profile_type": "Localhost", "localhost_ref": str(profile)}}
        contains("No space left", pod.output("mkdir", "/x", linux={"security_context": security}))


@check("namespaces: network, ipc and uts are the pod's, pid is the container's")
def _():
    with Pod() as pod:
        one, two = pod.run(), pod.run()
        for kind in ["net", "ipc", "uts"]:
            equal(one.namespace(kind), two.namespace(kind))
        assert one.namespace("pid") != two.namespace("pid")
        equal(pod.config["hostname"] + "\n", one.exec("hostname")[0])


@check("namespaces: a pid namespace for the pod")
def _():
    options = {"security_context": {"namespace_options": {"pid": "POD"}}}
    with Pod(linux=options) as pod:
        one, two = pod.run(linux=options), pod.run("sleep", "2000", linux=options)
        contains("sleep 2000", one.exec("ps")[0])
        two.stop()
        equal("CONTAINER_RUNNING", one.status()["state"])


@check("namespaces: those of the node")
def _():
    options = {"security_context": {"namespace_options": {"network": "NODE", "pid": "NODE", "ipc": "NODE"}}}
    with Pod(hostname="", linux=options) as pod:
        container = pod.run("sh", "-c", "sleep 4321 & sleep 1234", linux=options)
        for kind in ["net", "pid", "ipc"]:
            equal(os.readlink(f"/proc/self/ns/{kind}"), container.namespace(kind))
        container.stop()
        assert "sleep 4321" not in subprocess.run(["busybox", "ps"], capture_output=True, text=True).stdout


@check("namespaces: the pid namespace of another container, as a debugger's")
def _():
    with Pod() as pod:
        target = pod.run("sleep", "2000")
        options = {"namespace_options": {"pid": "TARGET", "target_id": target.id}}
        contains("sleep 2000", pod.output("ps", linux={"security_context": options}))


@check("sysctls of the pod")
def _():
    names = ["net.ipv4.ip_forward", "kernel.shm_rmid_forced"]
    with Pod(linux={"sysctls": {name: "1" for name in names}}) as pod:
        equal("1\n1\n", pod.output("cat", *("/proc/sys/" + name.replace(".", "/") for name in names)))


@check("mounts: read-only, a file, propagation")
def _():
    with Pod() as pod:
        volume = pod.directory / "volume"
        volume.mkdir()
        (volume / "file").write_text("text\n")
        mount = lambda path, source, **more: {"container_path": path, "host_path": str(source), **more}
        mounts = [mount("/a/b", volume, readonly=True), mount("/new/file", volume / "file")]
        text = pod.output("sh", "-c", "cat /a/b/file /new/file; touch /a/b/x 2>&1", mounts=mounts)
        assert text.startswith("text\ntext\n") and "Read-only" in text, text
        subprocess.run(["mount", "-t", "tmpfs", "shared", volume], check=True)
        subprocess.run(["mount", "--make-shared", volume], check=True)
        mounts = [mount("/v", volume, propagation="PROPAGATION_HOST_TO_CONTAINER")]
        container = pod.run(mounts=mounts)
        (volume / "inner").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "inner", volume / "inner"], check=True)
        contains("/v/inner ", container.exec("cat", "/proc/mounts")[0])
        container.stop()
        subprocess.run(["umount", "-R", volume], check=True)


@check("devices")
def _():
    with Pod() as pod:
        devices = [{"container_path": "/dev/x", "host_path": "/dev/fuse", "permissions": "rw"}]
        equal("", pod.output("sh", "-c", "exec 3<>/dev/x", devices=devices))


@check("environment, working directory, arguments")
def _():
    with Pod() as pod:
        config = {"envs": [{"key": "A", "value": "b"}], "working_dir": "/new", "args": ["-c", "pwd; echo $A"]}
        equal("/new\nb\n", pod.output("sh", **config))


@check("the log is reopened")
def _():
    with Pod() as pod:
        container = pod.run("sh", "-c", "while :; do echo x; sleep 0.1; done")
        container.log.rename(container.log.with_suffix(".old"))
        call("ReopenContainerLog", container_id=container.id)
        eventually(lambda: container.log.exists() and container.logged())


@check("a restart: a new container in the same pod")
def _():
    with Pod() as pod:
        for _ in range(3):
            container = pod.run("sh", "-c", "exit 1")
            equal(1, container.ended()["exit_code"])
            call("RemoveContainer", container_id=container.id)


@check("the sandbox's first process is killed")
def _():
    with Pod() as pod:
        info = call("PodSandboxStatus", pod_sandbox_id=pod.id, verbose=True)["info"]["info"]
        os.kill(json.loads(info)["pid"], 9)
        eventually(lambda: pod.status().get("state") == "SANDBOX_NOTREADY")


@check("runtime classes: by name, and one that is not known")
def _():
    with Pod(handler="lab"):
        pass
    return refusal(lambda: Pod(handler="no-such-class").__enter__())


@check("twenty containers at once")
def _():
    with Pod() as pod, ThreadPoolExecutor(20) as pool:
        containers = [pod.create("sh", "-c", f"echo {number}; sleep 1") for number in range(20)]
        list(pool.map(lambda container: call("StartContainer", container_id=container.id), containers))
        for number, container in enumerate(containers):
            container.ended()
            equal(f"{number}\n", container.logged())


@check("ten pods at once")
def _():
    def one(_):
        with Pod() as pod:
            return pod.output("echo", "x")

    with ThreadPoolExecutor(10) as pool:
        equal(["x\n"] * 10, list(pool.map(one, range(10))))


for name, function in CHECKS:
    if not re.search(ONLY, name):
        continue
    try:
        said = function() or ""
        verdict = "ok"
    except Skipped as reason:
        said, verdict = str(reason), "skip"
    except Exception as error:
        said, verdict = "", "FAIL"
        print(f"{type(error).__name__}: {error}"[:600].replace("\n", " "))
    said = re.sub(r"[0-9a-f]{64}", "ID", said)
    said = re.sub(r"\b(runc|pinnace)\b", "RUNTIME", said).replace("error during container init: ", "")
    print(verdict, name, said.replace("\t", " ").replace("\n", " "), sep="\t", flush=True)
