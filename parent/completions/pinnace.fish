# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pinnace_global_optspecs
    string join \n root= log= log-format= debug log-level= systemd-cgroup cgroup-manager= rootless= v/version h/help
end

function __fish_pinnace_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pinnace_global_optspecs) -- $cmd 2>/dev/null
    or return 0
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pinnace_using_subcommand
    set -l cmd (__fish_pinnace_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pinnace -n "__fish_pinnace_needs_command" -l root -d 'Directory of the containers\' state [default: /run/pinnace; of ordinary users $XDG_RUNTIME_DIR/pinnace]' -r -F
complete -c pinnace -n "__fish_pinnace_needs_command" -l log -d 'Append log records to this file instead of standard error, or give them to a daemon: syslog:NAME or journald:NAME' -r -F
complete -c pinnace -n "__fish_pinnace_needs_command" -l log-format -d 'Format of log records: text or json' -r -f -a "text\t''
json\t''"
complete -c pinnace -n "__fish_pinnace_needs_command" -l log-level -d 'Log only what is at least this grave: debug, warning or error [default: warning]' -r -f -a "debug\t''
warning\t''
error\t''"
complete -c pinnace -n "__fish_pinnace_needs_command" -l cgroup-manager -d 'Who makes the cgroups of a new container: cgroupfs, systemd or disabled [default: cgroupfs]' -r -f -a "cgroupfs\t''
systemd\t''
disabled\t''"
complete -c pinnace -n "__fish_pinnace_needs_command" -l rootless -d 'Whether a new container does without the cgroups that cannot be written: true, false or auto: for whoever is not the host\'s root [default: auto]' -r -f -a "true\t''
false\t''
auto\t''"
complete -c pinnace -n "__fish_pinnace_needs_command" -l debug -d 'Log what is done, too'
complete -c pinnace -n "__fish_pinnace_needs_command" -l systemd-cgroup -d 'Let systemd make the cgroups; cgroupsPath is then slice:prefix:name'
complete -c pinnace -n "__fish_pinnace_needs_command" -s v -l version -d 'Print the version'
complete -c pinnace -n "__fish_pinnace_needs_command" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "create" -d 'Create a container that waits for start'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "start" -d 'Start the program of a created container'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "run" -d 'Create a container, start it, and wait for its end'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "state" -d 'Print a container\'s state as JSON'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "kill" -d 'Send a signal to a container [default: SIGTERM]'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "delete" -d 'Delete a container that has stopped'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "mounts" -d 'Add mounts to a container that runs, or remove those that were added'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "pause" -d 'Stop all processes of a container for a while'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "resume" -d 'Let the processes of a paused container go on'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "ps" -d 'List the processes of a container, with the host\'s pids'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "update" -d 'Change the limits of a container'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "exec" -d 'Run one more program in a container'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "events" -d 'Print what a container uses, and when it is short of memory, until it ends'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "list" -d 'List the containers'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "spec" -d 'Write a default config.json'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "features" -d 'Print what pinnace can do as JSON'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "bench" -d 'Measure pinnace and other runtimes side by side'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "validate" -d 'Tell everything that is wrong with a bundle, and do nothing'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "plan" -d 'Print what a start would do, and do nothing'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "doctor" -d 'Tell what this host has that makes starts slow, or features missing'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "trace" -d 'Show where the time of a start went'
complete -c pinnace -n "__fish_pinnace_needs_command" -f -a "demo" -d 'Run a container from a root file system inside pinnace'
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -s b -l bundle -d 'Directory with config.json [default: the working directory]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l pid-file -d 'Write the pid of the container\'s first process to this file' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l console-socket -d 'Socket at which the caller takes the program\'s terminal; relative to the bundle' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l pidfd-socket -d 'Socket at which the caller takes a pidfd of the container\'s first process; relative to the bundle' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l preserve-fds -d 'Descriptors above standard error that the program keeps' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -s f -l config -d 'Another name for config.json, or its path' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l trace -d 'Append what took how long to this file, for `pinnace trace` and Perfetto [default: $PINNACE_TRACE]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l no-pivot -d 'Do not use pivot_root, for a root on an initramfs'
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l no-new-keyring -d 'Keep the caller\'s session keyring'
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -l no-subreaper -d 'Do not adopt orphans of the container: pinnace never does'
complete -c pinnace -n "__fish_pinnace_using_subcommand create" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand start" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -s b -l bundle -d 'Directory with config.json [default: the working directory]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l pid-file -d 'Write the pid of the container\'s first process to this file' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l console-socket -d 'Socket at which the caller takes the program\'s terminal; relative to the bundle' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l pidfd-socket -d 'Socket at which the caller takes a pidfd of the container\'s first process; relative to the bundle' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l preserve-fds -d 'Descriptors above standard error that the program keeps' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -s f -l config -d 'Another name for config.json, or its path' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l trace -d 'Append what took how long to this file, for `pinnace trace` and Perfetto [default: $PINNACE_TRACE]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l no-pivot -d 'Do not use pivot_root, for a root on an initramfs'
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l no-new-keyring -d 'Keep the caller\'s session keyring'
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l no-subreaper -d 'Do not adopt orphans of the container: pinnace never does'
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -s d -l detach -d 'Return once the program runs'
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -l keep -d 'Leave the container\'s state when the program has ended, for delete'
complete -c pinnace -n "__fish_pinnace_using_subcommand run" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand state" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand kill" -s a -l all -d 'Signal every process of the container'
complete -c pinnace -n "__fish_pinnace_using_subcommand kill" -s r -l regex -d 'Signal every container whose id the regular expression in place of the ID matches; ^ and $ are its ends'
complete -c pinnace -n "__fish_pinnace_using_subcommand kill" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand delete" -s f -l force -d 'Kill the container first; an unknown id is no error'
complete -c pinnace -n "__fish_pinnace_using_subcommand delete" -s r -l regex -d 'Delete every container whose id the regular expression in place of the ID matches; ^ and $ are its ends'
complete -c pinnace -n "__fish_pinnace_using_subcommand delete" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand mounts" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand pause" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand resume" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand ps" -s f -l format -d 'table, made by the host\'s ps, or json: the pids alone' -r -f -a "table\t''
json\t''"
complete -c pinnace -n "__fish_pinnace_using_subcommand ps" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -s r -l resources -d 'Read the limits from a JSON file, as in linux.resources of config.json, or from standard input (-); the options below are left aside' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l blkio-weight -d 'Relative weight of block I/O, 10 to 1000' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpu-period -d 'Length of a period of the processor quota' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpu-quota -d 'Processor time in each period; -1 is no limit' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpu-burst -d 'Processor time that may be saved up beyond the quota' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpu-share -d 'Relative weight of processor time' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpu-rt-period -d 'Length of a period of the real-time budget' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpu-rt-runtime -d 'Real-time budget in each period' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpuset-cpus -d 'Processors to run on, such as 0-2,7' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l cpu-idle -d 'Whether the container runs only when nothing else does' -r -f -a "0\t''
1\t''"
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l memory -d 'Memory; -1 is no limit, k, m and g are units' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l memory-reservation -d 'Memory that is spared when the host runs short' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l memory-swap -d 'Memory and swap together; -1 is no limit' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l pids-limit -d 'Number of processes and threads; -1 is no limit' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l l3-cache-schema -d 'Schema of the L3 cache; needs intelRdt in config.json' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l mem-bw-schema -d 'Schema of the memory bandwidth; needs intelRdt in config.json' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l kernel-memory -d 'Accepted for old callers: the kernel has dropped it' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -l kernel-memory-tcp -d 'Accepted for old callers: the kernel has dropped it' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand update" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s p -l process -d 'File with the JSON object of the whole process; the options about the process are then left aside' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l pid-file -d 'Write the pid of the program to this file' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l console-socket -d 'Socket at which the caller takes the program\'s terminal' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l pidfd-socket -d 'Socket at which the caller takes a pidfd of the program' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l cwd -d 'Directory to begin in' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s e -l env -d 'One more environment variable' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s u -l user -d 'User, and perhaps group, as numbers' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s g -l additional-gids -d 'One more group, as a number' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l process-label -d 'The program\'s SELinux context' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l apparmor -d 'The program\'s AppArmor profile' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l no-new-privs -d 'Whether the program can gain no privileges [default: as the container\'s own]' -r -f -a "true\t''
false\t''"
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s c -l cap -d 'One more capability' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l preserve-fds -d 'Descriptors above standard error that the program keeps' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l cgroup -d 'Cgroup below the container\'s; for v1 with controllers before it' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s t -l tty -d 'Give the program a terminal'
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s d -l detach -d 'Return once the program runs'
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -l ignore-paused -d 'If the container is paused, wait until it goes on'
complete -c pinnace -n "__fish_pinnace_using_subcommand exec" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand events" -l interval -d 'Time between two records, such as 500ms or 1m30s' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand events" -l stats -d 'Print one record and end'
complete -c pinnace -n "__fish_pinnace_using_subcommand events" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand list" -s f -l format -d 'table or json' -r -f -a "table\t''
json\t''"
complete -c pinnace -n "__fish_pinnace_using_subcommand list" -s q -l quiet -d 'Only the ids'
complete -c pinnace -n "__fish_pinnace_using_subcommand list" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand spec" -s b -l bundle -d 'Directory to write config.json to [default: the working directory]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand spec" -s f -l file -d 'Another name for config.json, or its path' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand spec" -l rootless -d 'A configuration that the caller can run without being root'
complete -c pinnace -n "__fish_pinnace_using_subcommand spec" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand features" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l against -d 'Runtimes to compare with: names of programs in PATH, or NAME=PROGRAM; or none' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -s b -l bundle -d 'Directory with the config.json to measure; its root file system is shared by all [default: a root file system inside pinnace]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l rounds -d 'Rounds that are measured; in each, every runtime has its turn' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l warm-up -d 'Rounds before them that do not count' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l spaced -d 'Milliseconds of rest before each command, 0 for none; of several, each is measured' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l workload -d 'What is measured: run, exec, lifecycle (create, start, state, list, kill, delete), or none' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l idle -d 'Measure run, exec, state and list beside so many idle containers, too, such as 0,100,1000' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l parallel -d 'Measure so many starts at once, too, such as 1,4,16,64' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l burst -d 'Measure so many starts at once, and then a start each second while the kernel tidies up' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l watch -d 'Seconds to watch after a burst' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -l report -d 'Write results.json, results.csv, index.html and summary.svg into this directory' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand bench" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand validate" -s b -l bundle -d 'Directory with config.json [default: the working directory]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand validate" -l config -d 'Another name for config.json, or its path' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand validate" -s f -l format -d 'text, a finding a line, or json' -r -f -a "text\t''
json\t''"
complete -c pinnace -n "__fish_pinnace_using_subcommand validate" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand plan" -s b -l bundle -d 'Directory with config.json [default: the working directory]' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand plan" -l config -d 'Another name for config.json, or its path' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand plan" -s f -l format -d 'text, for people, or json' -r -f -a "text\t''
json\t''"
complete -c pinnace -n "__fish_pinnace_using_subcommand plan" -l no-pivot -d 'Plan as with the same option of `run`'
complete -c pinnace -n "__fish_pinnace_using_subcommand plan" -l no-new-keyring -d 'Plan as with the same option of `run`'
complete -c pinnace -n "__fish_pinnace_using_subcommand plan" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand doctor" -s f -l format -d 'text, for people, or json' -r -f -a "text\t''
json\t''"
complete -c pinnace -n "__fish_pinnace_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand trace" -l svg -d 'Draw the slowest of the commands that are shown as a picture, too' -r -F
complete -c pinnace -n "__fish_pinnace_using_subcommand trace" -l command -d 'Show only the commands that begin so, such as create, or "create web"' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand trace" -l index -d 'Show only one of them: 1 is the first, -1 the last' -r
complete -c pinnace -n "__fish_pinnace_using_subcommand trace" -s h -l help -d 'Print help'
complete -c pinnace -n "__fish_pinnace_using_subcommand demo" -s h -l help -d 'Print help'

# What stands behind the options: whether the operand to be completed is at one of these places.
function __fish_pinnace_operand
    set -l words (commandline -opc)
    set -l command
    set -l position 0
    set -l i 2
    while test $i -le (count $words)
        switch "$command $words[$i]"
            case " --root" " --log" " --log-format" " --log-level" " --cgroup-manager" " --rootless" "create -b" "create --bundle" "create --pid-file" "create --console-socket" "create --pidfd-socket" "create --preserve-fds" "create -f" "create --config" "create --trace" "run -b" "run --bundle" "run --pid-file" "run --console-socket" "run --pidfd-socket" "run --preserve-fds" "run -f" "run --config" "run --trace" "ps -f" "ps --format" "update -r" "update --resources" "update --blkio-weight" "update --cpu-period" "update --cpu-quota" "update --cpu-burst" "update --cpu-share" "update --cpu-rt-period" "update --cpu-rt-runtime" "update --cpuset-cpus" "update --cpuset-mems" "update --cpu-idle" "update --memory" "update --memory-reservation" "update --memory-swap" "update --pids-limit" "update --l3-cache-schema" "update --mem-bw-schema" "update --kernel-memory" "update --kernel-memory-tcp" "exec -p" "exec --process" "exec --pid-file" "exec --console-socket" "exec --pidfd-socket" "exec --cwd" "exec -e" "exec --env" "exec -u" "exec --user" "exec -g" "exec --additional-gids" "exec --process-label" "exec --apparmor" "exec -c" "exec --cap" "exec --preserve-fds" "exec --cgroup" "events --interval" "list -f" "list --format" "spec -b" "spec --bundle" "spec -f" "spec --file" "bench --against" "bench -b" "bench --bundle" "bench --rounds" "bench --warm-up" "bench --spaced" "bench --workload" "bench --idle" "bench --parallel" "bench --burst" "bench --watch" "bench --report" "validate -b" "validate --bundle" "validate --config" "validate -f" "validate --format" "plan -b" "plan --bundle" "plan --config" "plan -f" "plan --format" "doctor -f" "doctor --format" "trace --svg" "trace --command" "trace --index"
                set i (math $i + 1)
            case "* -*"
            case " *"
                set command $words[$i]
            case "*"
                set position (math $position + 1)
        end
        set i (math $i + 1)
    end
    # Beyond that it is the value of an option.
    test $i -eq (math (count $words) + 1)
    and contains -- "$command:$position" $argv
end

function __fish_pinnace_containers
    set -l words (commandline -opc)
    set -l root
    if set -l i (contains -i -- --root $words)
        set root --root $words[(math $i + 1)]
    end
    command $words[1] $root list --quiet 2>/dev/null
end

complete -c pinnace -n "__fish_pinnace_operand help:0" -f -a "create start run state kill delete mounts pause resume ps update exec events list spec features bench validate plan doctor trace demo"
complete -c pinnace -n "__fish_pinnace_operand kill:1" -f -a "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH"
complete -c pinnace -n "__fish_pinnace_operand mounts:0" -f -a "add remove"
complete -c pinnace -n "__fish_pinnace_operand start:0 state:0 kill:0 delete:0 mounts:1 pause:0 resume:0 ps:0 update:0 exec:0 events:0" -f -a "(__fish_pinnace_containers)"
complete -c pinnace -n "__fish_pinnace_operand create:0 run:0" -f
