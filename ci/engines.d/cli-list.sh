# What podman and docker are asked for alike: $cli is one of them.

cgroup_of() {
    local pid path
    pid=$($cli inspect --format '{{.State.Pid}}' "$1")
    path=$(sed -n "s/^[0-9]*:$2://p" "/proc/$pid/cgroup")
    echo "/sys/fs/cgroup/$2$path"
}
once() { $cli run --rm "$@"; }
background() { $cli run -d --name "$c" "$@" "$image" sleep 100; }
export -f cgroup_of once background

everyday() {
    check 'run: output and exit status' 'is "3: hello" "$(outcome once $image sh -c "echo hello; exit 3")"'
    check 'run: standard error is apart' 'is "" "$(once $image sh -c "echo x >&2" 2>/dev/null)"'
    check 'run: a program ended by a signal' \
        'is 137 "$(once --init $image sh -c "kill -9 \$\$" >&2 || echo $?)"'
    check 'run: no such program' 'said "$(outcome once --name $c $image no-such-program)"'
    check 'run: no such path' 'said "$(outcome once --name $c $image /no/such/program)"'
    check 'run: not executable' 'said "$(outcome once --name $c $image /etc/passwd)"'
    check 'run: a directory' 'said "$(outcome once --name $c $image /data)"'
    check 'run: its interpreter is missing' 'said "$(outcome once --name $c $image bad-interpreter)"'
    check 'run: of no known format' 'said "$(outcome once --name $c $image bad-format)"'
    check 'run: no such user' 'said "$(outcome once --name $c -u nobody-here $image true)"'
    check 'run: no such source of a volume' 'said "$(outcome once --name $c -v $TMPDIR/no-such:/v $image true)"'
    check 'run: a file mounted on a directory' '
        text=$(outcome once --name $c -v /etc/hostname:/data $image true)
        has "/data.*not a directory" "$text"
        said "${text%%:*}"'
    check 'run: a bad sysctl' '
        text=$(outcome once --name $c --sysctl net.no.such=1 $image true)
        has "net.no.such.*no such file or directory" "$text"
        said "${text%%:*}"'
    check 'run -i: standard input' 'is HELLO "$(echo hello | $cli run -i --rm $image tr a-z A-Z)"'
    check 'run -it: a terminal' 'has "/dev/(pts/0|console)" "$(terminal $cli run -it --rm $image tty)"'
    check 'run -it: exit status' 'is 5 "$(terminal $cli run -it --rm $image sh -c "exit 5" >&2 || echo $?)"'
    check 'run -d, logs, wait' '
        $cli run -d --name $c $image sh -c "echo out; echo err >&2; exit 4"
        is 4 "$($cli wait $c)"
        is "err out" "$($cli logs $c 2>&1 | sort | paste -sd " ")"'
    check 'logs --follow ends with the container' '
        $cli run -d --name $c $image sh -c "echo 1; sleep 1; echo 2"
        is "1 2" "$($cli logs -f $c | paste -sd " ")"'
    check 'attach' '
        $cli run -d -i --name $c $image sh -c "read line; echo got \$line"
        is "got x" "$( (sleep 0.5; echo x; sleep 0.5) | $cli attach $c)"'
    check 'exec: output and exit status' '
        background
        is "7: hello" "$(outcome $cli exec $c sh -c "echo hello; exit 7")"'
    check 'exec: no such program' 'background; said "$(outcome $cli exec $c no-such-program)"'
    check 'exec: no such path' 'background; said "$(outcome $cli exec $c /no/such/program)"'
    check 'exec: not executable' 'background; said "$(outcome $cli exec $c /etc/passwd)"'
    check 'exec: no such directory' 'background; said "$(outcome $cli exec -w /no/such $c true)"'
    check 'exec of a container that has ended' '
        $cli run --name $c $image true
        said "$(outcome $cli exec $c true)"'
    check 'exec -it' 'background; has "/dev/(pts/[0-9]|console)" "$(terminal $cli exec -it $c tty)"'
    check 'exec -i: standard input' '
        background
        is HELLO "$(echo hello | $cli exec -i $c tr a-z A-Z)"'
    check 'exec -d' 'background; $cli exec -d $c touch /tmp/done; eventually $cli exec $c test -e /tmp/done'
    check 'exec -u -w -e' '
        background
        is "1000 1000 2000 /data b" "$($cli exec -u user -w /data -e A=b $c \
            sh -c "echo \$(id -u) \$(id -G) \$(pwd) \$A")"'
    check 'exec --privileged' '
        background
        has "ffff" "$($cli exec --privileged $c grep CapEff /proc/self/status)"'
    check 'exec: ended by a signal' '
        background
        is 137 "$($cli exec $c sh -c "kill -9 \$\$" >&2 || echo $?)"'
    check 'exec: twenty one after another' '
        background
        for i in {1..20}; do $cli exec $c true; done'
    check 'stop: the program ends itself' '
        $cli run -d --name $c $image sh -c "trap \"exit 9\" TERM; echo ready; while :; do sleep 0.1; done"
        eventually sh -c "$cli logs $c | grep ready"
        $cli stop -t 10 $c
        is "9 exited" "$($cli inspect --format "{{.State.ExitCode}} {{.State.Status}}" $c)"'
    check 'stop: killed after the time limit' '
        $cli run -d --name $c $image sh -c "trap \"\" TERM; while :; do sleep 0.1; done"
        $cli stop -t 1 $c
        is 137 "$($cli inspect --format "{{.State.ExitCode}}" $c)"'
    check 'kill: signals by name and number, real-time ones too' '
        $cli run -d --name $c $image \
            sh -c "trap \"echo usr1\" USR1; trap \"exit 3\" 37; echo ready; while :; do sleep 0.1; done"
        eventually sh -c "$cli logs $c | grep ready"
        $cli kill -s USR1 $c
        eventually sh -c "$cli logs $c | grep usr1"
        $cli kill -s 37 $c
        is 3 "$($cli wait $c)"'
    check 'kill of a container that has ended' '
        $cli run --name $c $image true
        said "$(outcome $cli kill $c)"'
    check 'restart' '
        background
        before=$($cli inspect --format "{{.State.Pid}}" $c)
        $cli restart -t 0 $c
        after=$($cli inspect --format "{{.State.Pid}}" $c)
        [[ $before != "$after" && -d /proc/$after ]]'
    check 'run --restart on-failure' '
        $cli run -d --name $c --restart on-failure:2 $image false
        eventually sh -c "$cli inspect --format \"{{.RestartCount}}\" $c | grep 2"'
    check 'rm -f of a running container' 'background; $cli rm -f $c; ! $cli inspect $c'
    check 'top' 'background; has "sleep 100" "$($cli top $c)"'
    check 'inspect: running, with its pid' '
        background
        pid=$($cli inspect --format "{{.State.Pid}}" $c)
        is running "$($cli inspect --format "{{.State.Status}}" $c)"
        has sleep "$(tr "\0" " " </proc/$pid/cmdline)"'
    check 'cp, diff, commit, export' '
        background
        echo x >$TMPDIR/file
        $cli cp $TMPDIR/file $c:/file
        $cli exec $c cat /file
        has "A /file" "$($cli diff $c)"
        $cli commit $c localhost/$c
        $cli export $c | tar -t >/dev/null
        once localhost/$c cat /file'
    check 'run -v: a directory, read-only, a file, missing parents' '
        mkdir $TMPDIR/v; echo x >$TMPDIR/v/file
        is x "$(once -v $TMPDIR/v:/a/b/c $image cat /a/b/c/file)"
        is x "$(once -v $TMPDIR/v/file:/new/file $image cat /new/file)"
        has "Read-only" "$(once -v $TMPDIR/v:/v:ro $image touch /v/x 2>&1 || true)"
        once -v $TMPDIR/v:/v $image touch /v/made
        test -e $TMPDIR/v/made'
    check 'run -v: a named volume keeps what the image has there' '
        is kept "$(once -v $c-v:/data $image cat /data/kept)"
        once -v $c-v:/data $image touch /data/more
        once -v $c-v:/data $image test -e /data/more'
    check 'run --volumes-from' '
        background -v $c-v:/data
        once --volumes-from $c $image cat /data/kept'
    check 'run -u: number, name, group, --group-add' '
        is "1234 0" "$(once -u 1234 $image sh -c "echo \$(id -u) \$(id -g)")"
        is "1000 1000 2000 /home/user" "$(once -u user $image sh -c "echo \$(id -u) \$(id -G) \$HOME")"
        has " 555" "$(once -u 1000:1000 --group-add 555 $image id -G)"'
    check 'run --cap-drop, --cap-add' '
        has "CapEff:.0000000000000000" "$(once --cap-drop all $image grep CapEff /proc/self/status)"
        has "CapEff:.0000000000001000" \
            "$(once --cap-drop all --cap-add NET_ADMIN $image grep CapEff /proc/self/status)"
        said "$(once --cap-add NET_ADMIN -u 1000 $image grep Cap /proc/self/status)"
        said "$(once $image grep -E "Cap|NoNewPrivs|Seccomp:" /proc/self/status)"'
    check 'run --security-opt seccomp: a profile of the user' '
        has "No space left" "$(once --security-opt seccomp=$lab/profile.json $image mkdir /x 2>&1 || true)"
        has "Seccomp:.0" "$(once --security-opt seccomp=unconfined $image grep Seccomp: /proc/self/status)"
        has "Seccomp:.2" "$(once $image grep Seccomp: /proc/self/status)"'
    check 'run --security-opt seccomp: exec has it, too' '
        background
        has "Seccomp:.2" "$($cli exec $c grep Seccomp: /proc/self/status)"'
    check 'run --sysctl' 'is 7 "$(once --sysctl kernel.msgmni=7 $image cat /proc/sys/kernel/msgmni)"'
    check 'run: no descriptor reaches the program' \
        'is "0 1 2 3" "$(once $image ls /proc/self/fd | paste -sd " ")"'
    check 'run: signals have their defaults' '
        is "0000000000000000 0000000000000000" \
            "$(once $image sed -n "s/^Sig\(Blk\|Ign\):.//p" /proc/self/status | paste -sd " ")"'
    # But for the tmpfs that cgroup v1's hierarchies lie in: runc leaves it writable where `ro` is asked for.
    check 'run: what the container sees of its mounts' '
        said "$(once $image cat /proc/mounts | cut -d " " -f 2,3,4 | grep -v "^/sys/fs/cgroup tmpfs" | sort |
            sed -E "s/,(lowerdir|upperdir|workdir|size|nr_inodes|inode64)[^, ]*//g")"'
    check 'run: what the container sees of /dev' \
        'said "$(once $image sh -c "ls -l /dev /dev/pts | cut -c 1-10,40-43,57-")"'
    check 'run: limits and scores' \
        'said "$(once $image cat /proc/self/limits /proc/self/oom_score_adj)"
        said "$(once $image grep -E "^(Groups|Uid|Gid|Umask|THP|Cpus_allowed:)" /proc/self/status)"'
    if [[ $list == rootless ]]; then
        skip 'stop of a container without a pid namespace of its own' \
            'without cgroups nobody knows who is in it'
    else
        check 'stop of a container without a pid namespace of its own' '
            $cli run -d --name $c --pid host $image sh -c "sleep 1234 & sleep 4321"
            $cli stop -t 1 $c
            ! pgrep -x sleep'
    fi
    check 'twenty at once' '
        for i in {1..20}; do
            once --name $c-$i $image sh -c "echo $i; sleep 1" >$TMPDIR/$i.out & pids[i]=$!
        done
        for i in {1..20}; do wait ${pids[i]}; is $i "$(cat $TMPDIR/$i.out)"; done'
    if [[ $list == rootless && ! -d /dev/mqueue ]]; then
        skip 'run --ipc host' 'this machine has no /dev/mqueue, which podman then binds'
    else
        check 'run --ipc host' \
            'is "$(readlink /proc/self/ns/ipc)" "$(once --ipc host $image readlink /proc/self/ns/ipc)"'
    fi
    check 'run --pid host, --uts host, --network none' '
        once --pid host $image sh -c "test \$\$ != 1"
        is "$(hostname)" "$(once --uts host $image hostname)"
        is 1 "$(once --network none $image ip -o link | wc -l)"'
    check 'build: RUN, USER, WORKDIR, a cached layer' '
        mkdir $TMPDIR/build; echo text >$TMPDIR/build/file
        cat >$TMPDIR/build/Containerfile <<FILE
FROM $image
COPY file /copied
RUN cat /copied >/made && id -u >/who
USER user
WORKDIR /home/user
RUN pwd >where && id -u >>where
CMD cat /made where
FILE
        $cli build --tag localhost/$c-built -f $TMPDIR/build/Containerfile $TMPDIR/build
        is "text /home/user 1000" "$(once localhost/$c-built | paste -sd " ")"
        has "Using cache" "$($cli build -f $TMPDIR/build/Containerfile $TMPDIR/build 2>&1)"'
    check 'build: a RUN that fails' '
        mkdir $TMPDIR/fails; printf "FROM $image\nRUN exit 6\n" >$TMPDIR/fails/Containerfile
        said "$(outcome $cli build -f $TMPDIR/fails/Containerfile $TMPDIR/fails | tail -n 1)"
        printf "FROM $image\nRUN [\"no-such-program\"]\n" >$TMPDIR/fails/Containerfile
        said "$(outcome $cli build -f $TMPDIR/fails/Containerfile $TMPDIR/fails | tail -n 1)"'
}

# What takes root: limits, devices, networks.
everyday_root() {
    check 'run --pids-limit: no more processes' \
        'has "can.t fork" "$(once --pids-limit 4 $image sh -c "for i in 1 2 3 4 5; do sleep 1 & done" 2>&1)"'
    check_v1 'run --memory: the limit is in the cgroup' \
        'is 33554432 "$(once --memory 32m $image cat /sys/fs/cgroup/memory/memory.limit_in_bytes)"'
    check 'run --memory: what needs more is killed, and the engine sees why' '
        is 137 "$(once --memory 24m --memory-swap 24m $image sh -c "tail /dev/zero; exit \$?" >&2 || echo $?)"
        $cli run -d --name $c-d --memory 24m --memory-swap 24m $image tail /dev/zero
        is 137 "$($cli wait $c-d)"
        said "OOMKilled $($cli inspect --format "{{.State.OOMKilled}} {{.State.ExitCode}}" $c-d)"'
    check_v1 'run --cpus --cpu-shares --cpuset-cpus: are in the cgroup' '
        background --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0
        is 50000 "$(cat $(cgroup_of $c cpu)/cpu.cfs_quota_us)"
        is 512 "$(cat $(cgroup_of $c cpu)/cpu.shares)"
        is 0 "$(cat $(cgroup_of $c cpuset)/cpuset.cpus)"'
    check_v1 'update: cpus and memory of a running container' '
        background --memory 64m
        $cli update --cpus 0.25 --memory 48m $c
        is 25000 "$(cat $(cgroup_of $c cpu)/cpu.cfs_quota_us)"
        is 50331648 "$(cat $(cgroup_of $c memory)/memory.limit_in_bytes)"'
    check 'stats: memory and processes' '
        background
        has "^[1-9][0-9.]*[kKM]i?B / " "$($cli stats --no-stream --format "{{.MemUsage}}" $c)"'
    check 'pause and unpause' '
        background
        $cli pause $c
        is paused "$($cli inspect --format "{{.State.Status}}" $c)"
        said "$(outcome $cli exec $c true)"
        $cli unpause $c
        $cli exec $c true'
    check 'stop of a paused container' 'background; $cli pause $c; said "$(outcome $cli stop -t 1 $c)"'
    check 'run --privileged: devices and capabilities' '
        has "CapEff:.*ffff" "$(once --privileged $image grep CapEff /proc/self/status)"
        once --privileged $image ls /dev/loop-control /dev/fuse'
    check 'run --device: with its access' '
        once --device /dev/loop-control:/dev/x:r $image sh -c "test -c /dev/x && ! echo >/dev/x" 2>&1
        once --device /dev/fuse $image sh -c "exec 3<>/dev/fuse"'
    check 'run: a device that was not given cannot be opened' '
        has "not permitted" "$(once --cap-add MKNOD $image sh -c "mknod /x c 10 229; cat /x" 2>&1 || true)"'
    check 'run --blkio-weight, --device-read-bps' 'once --device-read-bps /dev/vda:1mb $image true'
    check 'run --oom-score-adj' 'is 200 "$(once --oom-score-adj 200 $image cat /proc/self/oom_score_adj)"'
    check 'network: two containers on a bridge, by name' '
        $cli network create $c-net
        $cli run -d --name $c --network $c-net $image nc -l -p 5000 -e echo hello
        is hello "$(once --network $c-net $image nc -w 2 $c 5000)"
        $cli rm -f $c
        eventually $cli network rm $c-net'
    check 'run -p: a port published on loopback' '
        $cli run -d --name $c -p 127.0.0.1:8080:80 $image \
            sh -c "echo from the container >/tmp/index.html; httpd -f -p 80 -h /tmp"
        eventually busybox wget -q -O $TMPDIR/page http://127.0.0.1:8080/index.html
        is "from the container" "$(cat $TMPDIR/page)"'
    check 'run --mount type=bind,bind-propagation=rshared' '
        mkdir -p $TMPDIR/shared; mount -t tmpfs shared $TMPDIR/shared; mount --make-shared $TMPDIR/shared
        once --cap-add SYS_ADMIN -v $TMPDIR/shared:/s:rshared $image \
            sh -c "mkdir /s/m && mount -t tmpfs inner /s/m"
        grep " $TMPDIR/shared/m " /proc/self/mounts
        umount -R $TMPDIR/shared'
}
