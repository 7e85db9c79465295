# What podman alone is asked for, by root and by others.

. "$here/cli-list.sh"
export cli=podman

# configure_podman RUN-ROOT GRAPH-ROOT: as the README says, in what /etc/containers is in the lab.
configure_podman() {
    cat >/etc/containers/containers.conf <<CONF
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "$runtime"
runtime_supports_json = ["pinnace", "crun", "runc"]
runtime_supports_nocgroup = ["pinnace", "crun"]
[engine.runtimes]
$runtime = ["$lab/bin/$runtime"]
[network]
network_backend = "netavark"
CONF
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
    printf '[storage]\ndriver = "overlay"\nrunroot = "%s"\ngraphroot = "%s"\n' "$@" \
        >/etc/containers/storage.conf
}

sweep() {
    podman pod rm --all --force --time 0
    podman rm --all --force --time 0
    podman volume prune --force
}
export -f sweep

podman_list() {
    check 'run: a mount option that the kernel refuses' '
        text=$(outcome once --name $c --mount type=tmpfs,destination=/t,tmpfs-size=x $image true)
        has "/t.*invalid argument" "$text"
        said "${text%%:*}"'
    check 'create, init, start --attach' '
        podman create --name $c $image echo hello
        podman init $c
        is "hello" "$(podman start --attach $c)"'
    check 'healthcheck: healthy, then not' '
        background --health-cmd "test ! -e /tmp/ill" --health-interval disable --health-retries 1
        podman healthcheck run $c
        podman exec $c touch /tmp/ill
        ! podman healthcheck run $c
        is unhealthy "$(podman inspect --format "{{.State.Health.Status}}" $c)"'
    check 'run -v: noexec, nosuid, nodev; rslave; z' '
        mkdir $TMPDIR/w; cp /bin/busybox $TMPDIR/w/true
        ! once -v $TMPDIR/w:/w:noexec $image /w/true
        once -v $TMPDIR/w:/w:rslave,z $image /w/true'
    check 'run -v: an overlay volume' '
        mkdir $TMPDIR/o; once -v $TMPDIR/o:/o:O $image touch /o/x; test ! -e $TMPDIR/o/x'
    check 'run --tmpfs: size, mode, the files it covers' '
        is "1777 kept" "$(once --tmpfs /data:size=1m,mode=1777 $image \
            sh -c "echo \$(stat -c %a /data) \$(cat /data/kept)")"'
    check 'run --tmpfs: notmpcopyup' \
        'once --mount type=tmpfs,destination=/data,notmpcopyup $image test ! -e /data/kept'
    check 'run --mount type=image' \
        'once --mount type=image,source=$image,destination=/image $image cat /image/etc/passwd'
    check 'run --read-only, and what stays writable' '
        has "Read-only" "$(once --read-only $image touch /x 2>&1 || true)"
        once --read-only $image touch /tmp/x /run/x /dev/shm/x
        ! once --read-only --read-only-tmpfs=false $image touch /tmp/x'
    check 'run --security-opt no-new-privileges, mask, unmask' '
        has "NoNewPrivs:.1" \
            "$(once --security-opt no-new-privileges $image grep NoNewPrivs /proc/self/status)"
        is "" "$(once --security-opt mask=/etc/passwd $image cat /etc/passwd)"
        is "" "$(once $image cat /proc/timer_list 2>&1)"
        once --security-opt unmask=ALL $image ls /sys/firmware'
    check 'run --ulimit, --umask, --shm-size, --env, --hostname' '
        is "100 0077 test b" "$(once --ulimit nofile=100:100 --ulimit nproc=100:100 --umask 0077 \
            --hostname test -e A=b $image sh -c "echo \$(ulimit -n) \$(umask) \$(hostname) \$A")"
        has " 2.0M " "$(once --shm-size 2m $image df -h /dev/shm)"'
    check 'run --add-host, --dns, --tz, --init' '
        once --add-host name:1.2.3.4 $image grep "1.2.3.4.*name" /etc/hosts
        once --dns 1.2.3.4 $image grep 1.2.3.4 /etc/resolv.conf
        has "catatonit|init" "$(once --init $image cat /proc/1/cmdline | tr "\0" " ")"'
    check 'run --secret' '
        printf secret | podman secret create $c-s -
        is secret "$(once --secret $c-s $image cat /run/secrets/$c-s)"
        podman secret rm $c-s'
    check 'run --preserve-fds' 'is handed "$(once --preserve-fds 1 $image sh -c "cat <&3" 3< <(echo handed))"'
    check 'run --pid, --ipc, --network, --uts container:NAME' '
        background --ipc shareable
        has "sleep 100" "$(once --pid container:$c $image ps)"
        for kind in pid ipc network uts; do
            link=$kind; [[ $kind != network ]] || link=net
            is "$(readlink /proc/$(podman inspect --format "{{.State.Pid}}" $c)/ns/$link)" \
                "$(once --$kind container:$c $image readlink /proc/self/ns/$link)"
        done'
    check 'run --personality, hidepid, devpts' '
        is i686 "$(once --personality LINUX32 $image uname -m)"
        has "hidepid" "$(once --security-opt proc-opts=hidepid=2 $image grep " /proc " /proc/mounts)"
        once --mount type=devpts,target=/more/pts $image test -c /more/pts/ptmx'
    check 'pod: members share the network, ipc and uts namespaces' '
        podman pod create --name $c-pod --infra-command "/bin/sleep 1000" --infra-image $image
        podman run -d --name $c-1 --pod $c-pod $image nc -l -p 5000 -e echo hello
        sleep 0.5
        is hello "$(once --pod $c-pod $image nc -w 2 127.0.0.1 5000)"
        is "$c-pod" "$(once --pod $c-pod $image hostname)"'
    check 'pod: a shared pid namespace, pause, stop, start, rm' '
        podman pod create --name $c-pod --share pid,net,ipc,uts \
            --infra-command "/bin/sleep 1000" --infra-image $image
        podman run -d --name $c-1 --pod $c-pod $image sleep 100
        has "sleep 1000" "$(podman exec $c-1 ps)"
        [[ $list != root ]] || { podman pod pause $c-pod; podman pod unpause $c-pod; }
        podman pod stop -t 0 $c-pod
        podman pod start $c-pod
        podman pod rm -f -t 0 $c-pod'
    check 'play kube' '
        cat >$TMPDIR/pod.yaml <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $c-kube}
spec:
  containers:
  - {name: one, image: "$image", command: [sleep, "100"], securityContext: {readOnlyRootFilesystem: true}}
YAML
        podman play kube --network none $TMPDIR/pod.yaml
        is running "$(podman inspect --format "{{.State.Status}}" $c-kube-one)"
        podman play kube --down $TMPDIR/pod.yaml'
    check 'nothing is left of any container' 'sweep >/dev/null; is "" "$("$lab/bin/$runtime" list --quiet)"'
}
