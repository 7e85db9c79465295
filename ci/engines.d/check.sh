# What the lists of all engines share: lines and their verdicts, the image, waiting.

# check NAME CODE: one line of the list. CODE is shell, under `set -e`, with the functions below and a fresh
# container name in $c. What it prints is shown if it fails. `sweep` of the engine removes what a line leaves.
number=0
# Who does it, if not root.
as=()
check() {
    local name=$1 code=$2 log=$lab/log verdict=ok said=
    [[ $name =~ ${ONLY:-} ]] || return 0
    number=$((number + 1))
    export c=c$number
    install -m 666 /dev/null "$lab/said"
    timeout --kill-after=5 60 "${as[@]}" bash -euo pipefail -c "$code" >"$log" 2>&1 </dev/null || verdict=FAIL
    said=$(paste -sd " " "$lab/said")
    verdict "$verdict" "$name" "$said"
    [[ $verdict == ok ]] || tail -n 12 "$log" | cut -c 1-400 | sed 's/^/        /'
    timeout 60 "${as[@]}" bash -c sweep >/dev/null 2>&1 </dev/null || true
}

# The same for what reads files of cgroup v1.
check_v1() {
    if [[ -e /sys/fs/cgroup/memory ]]; then check "$@"; else skip "$1" "it reads files of cgroup v1"; fi
}

skip() {
    [[ ! $1 =~ ${ONLY:-} ]] || verdict skip "$1" "$2"
}

verdict() {
    local note=
    [[ $1 != skip ]] || note=$3
    if [[ $1 == FAIL ]] && grep -qs "^FAIL"$'\t'"$2"$'\t' "$results/$engine.runc"; then note="runc too"; fi
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results/$engine.$runtime"
    printf '%-5s %s%s\n' "$1" "$2" "${note:+  [$note]}"
}

# Assertions; `said` records what the user was told, which is then compared with what runc's user was told.
is() { [[ $2 == "$1" ]] || { printf 'expected: %s\nfound:    %s\n' "$1" "$2"; return 1; }; }
has() { [[ $2 =~ $1 ]] || { printf 'expected: %s\nfound:    %s\n' "$1" "$2"; return 1; }; }
# The exit status of a command, then what it printed.
outcome() { local status=0 text; text=$("$@" 2>&1) || status=$?; printf '%s: %s\n' "$status" "$text"; }
# Without warnings, and without what differs from call to call.
said() {
    sed -E 's/time="[^"]*"/TIME/g; s/TIME level=warning msg="([^"\\]|\\.)*" *//g
        s/[0-9a-f]{12,64}/ID/g; s/\<c[0-9]+\>/NAME/g
        s/\<(pinnace|runc)\>/RUNTIME/g; s/error during container init: //' <<<"$*" |
        tr -d '\r' | paste -sd ' ' | tr -s '\t ' ' ' >>"$lab/said"
}
# Until a command succeeds, ten seconds at most.
eventually() { for _ in {1..100}; do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; "$@"; }
terminal() { SHELL=/bin/bash script -qec "$(printf '%q ' "$@")" /dev/null; }

# start_daemon NAME COMMAND...: its log is shown if it ends, or if `ready` does not come true.
start_daemon() {
    local name=$1
    shift
    "$@" >"$lab/$name.log" 2>&1 </dev/null &
    for _ in {1..150}; do
        if ready >/dev/null 2>&1; then return 0; fi
        kill -0 $! 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$lab/$name.log"
    return 1
}

# make_image NAME FILE COMMAND...: an archive (docker load's format) of busybox, with an ordinary user.
make_image() {
    local name=$1 file=$2 root=$lab/root digest command
    shift 2
    if [[ ! -d $root ]]; then
        mkdir -p $root/{bin,etc,dev,proc,sys,root,data,run,var} $root/home/user
        install -d -m 1777 $root/tmp
        cp /bin/busybox $root/bin/
        for command in $(/bin/busybox --list | grep -vx busybox); do ln -s busybox "$root/bin/$command"; done
        printf '%s\n' root:x:0:0:root:/root:/bin/sh user:x:1000:1000::/home/user:/bin/sh >$root/etc/passwd
        printf '%s\n' root:x:0: user:x:1000: extra:x:2000:user >$root/etc/group
        echo kept >$root/data/kept
        printf '#!/no/such/interpreter\n' >$root/bin/bad-interpreter
        printf 'neither a script nor a program\n' >$root/bin/bad-format
        chmod 755 $root/bin/bad-*
        chown -R 1000:1000 $root/home/user
        tar -C $root -cf $lab/layer.tar .
    fi
    digest=$(sha256sum $lab/layer.tar | cut -d ' ' -f 1)
    command=$(printf ',"%s"' "$@")
    cat >$lab/config.json <<JSON
{"architecture":"$(dpkg --print-architecture)","os":"linux","config":{"Cmd":[${command#,}],
 "Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$digest"]},"history":[{"created_by":"busybox"}]}
JSON
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$name" >$lab/manifest.json
    tar -C $lab -cf "$file" manifest.json config.json layer.tar
}

# A seccomp profile that one can see at work.
cat >"$lab/profile.json" <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW",
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
JSON

export -f is has outcome said eventually terminal
