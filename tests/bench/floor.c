/*
 * The floor: what a default `run` of /bin/true, and an `exec` in a container, ask of the kernel, in straight line.
 *
 *     floor [--root DIR] run --bundle DIR ID
 *     floor [--root DIR] run --detach --bundle DIR --pid-file FILE ID       /bin/sleep of the bundle, to exec in
 *     floor [--root DIR] exec ID PROGRAM [ARGUMENTS]
 *     floor [--root DIR] delete [--force] ID
 *
 * The words are those of a container runtime, so that `pinnace bench` can call it like one. It makes the same kernel calls as a runtime
 * that runs the specification which `runc spec` writes (terminal false), one after the other, as plain C would. It reads no
 * configuration, and looks only at whether each call succeeded; of a detached container it keeps the pid, and of others nothing. A
 * runtime can be quicker than this: by doing two things at once, and by doing without the C library's start-up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define HIERARCHIES_MAX 32
#define PATH_BYTES_MAX 512

struct hierarchy {
    char name[64];                      /* the directory below /sys/fs/cgroup: "cpu,cpuacct", "systemd" */
    char directory[PATH_BYTES_MAX];     /* the container's own cgroup in it */
};

static struct hierarchy hierarchies[HIERARCHIES_MAX];
static int hierarchy_count;
static int is_v2;

/* What the command line says. */
static const char *root = "/run/floor", *bundle = ".", *pid_file, *id;
static int is_detached;

static long must(long result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
        _exit(1);
    }
    return result;
}

__attribute__((format(printf, 1, 2))) static const char *path(const char *format, ...)
{
    static char buffers[4][PATH_BYTES_MAX];
    static int next;
    char *buffer = buffers[next++ % 4];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, PATH_BYTES_MAX, format, arguments);
    va_end(arguments);
    return buffer;
}

static void write_file(const char *file, const char *text, size_t size)
{
    int descriptor = must(open(file, O_WRONLY | O_CLOEXEC), file);
    must(write(descriptor, text, size), file);
    close(descriptor);
}

/* ---- cgroups, in the parent ---- */

static void find_cgroups(void)
{
    static char text[8192];
    struct statfs status;
    must(statfs("/sys/fs/cgroup", &status), "/sys/fs/cgroup");
    is_v2 = status.f_type == CGROUP2_SUPER_MAGIC;
    int descriptor = must(open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC), "/proc/self/cgroup");
    must(read(descriptor, text, sizeof(text) - 1), "/proc/self/cgroup");
    close(descriptor);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *controllers = strchr(line, ':') + 1;
        char *own = strchr(controllers, ':');
        *own++ = '\0';
        if ((*controllers == '\0') != is_v2)
            continue;
        struct hierarchy *hierarchy = &hierarchies[hierarchy_count++];
        if (strncmp(controllers, "name=", 5) == 0)
            controllers += 5;
        snprintf(hierarchy->name, sizeof hierarchy->name, "%s", controllers);
        snprintf(hierarchy->directory, sizeof hierarchy->directory, "/sys/fs/cgroup/%s%s/%s", controllers,
                 own[1] ? own : "", id);
    }
}

/* A new cpuset takes no process before it has processors and memory. */
static void copy_cpuset(const char *directory, const char *name)
{
    char text[256];
    int descriptor = must(open(path("%s/../%s", directory, name), O_RDONLY | O_CLOEXEC), name);
    ssize_t size = must(read(descriptor, text, sizeof text), name);
    close(descriptor);
    write_file(path("%s/%s", directory, name), text, size);
}

static void allow_devices_v1(const char *directory)
{
    static const char *const allowed[] = {"c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm",   "c 1:7 rwm",   "c 1:8 rwm",
                                          "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm"};
    write_file(path("%s/devices.deny", directory), "a", 1);
    int descriptor = must(open(path("%s/devices.allow", directory), O_WRONLY | O_CLOEXEC), "devices.allow");
    for (size_t index = 0; index < LENGTH(allowed); index++)
        must(write(descriptor, allowed[index], strlen(allowed[index])), "devices.allow");
    close(descriptor);
}

#define INSTRUCTION(op, to, from, jump, value) \
    ((struct bpf_insn){.code = (op), .dst_reg = (to), .src_reg = (from), .off = (jump), .imm = (value)})
#define LOAD(to, offset) INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, to, 1, offset, 0)
#define SKIP_UNLESS(reg, value, count) INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, reg, 0, count, value)
#define ANSWER(value) INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, value), INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define ALLOW_MKNOD(type) SKIP_UNLESS(2, type, 3), SKIP_UNLESS(3, BPF_DEVCG_ACC_MKNOD, 2), ANSWER(1)
#define ALLOW_DEVICE(major, minor) \
    SKIP_UNLESS(2, BPF_DEVCG_DEV_CHAR, 4), SKIP_UNLESS(4, major, 3), SKIP_UNLESS(5, minor, 2), ANSWER(1)
#define ALLOW_MAJOR(major) SKIP_UNLESS(2, BPF_DEVCG_DEV_CHAR, 3), SKIP_UNLESS(4, major, 2), ANSWER(1)

static void allow_devices_v2(int cgroup)
{
    /* Registers: 2 type, 3 access, 4 major, 5 minor. */
    struct bpf_insn program[] = {
        LOAD(2, 0), INSTRUCTION(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff),
        LOAD(3, 0), INSTRUCTION(BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16),
        LOAD(4, 4), LOAD(5, 8),
        ALLOW_MKNOD(BPF_DEVCG_DEV_CHAR), ALLOW_MKNOD(BPF_DEVCG_DEV_BLOCK),
        ALLOW_DEVICE(1, 3), ALLOW_DEVICE(1, 5), ALLOW_DEVICE(1, 7), ALLOW_DEVICE(1, 8), ALLOW_DEVICE(1, 9),
        ALLOW_DEVICE(5, 0), ALLOW_DEVICE(5, 2), ALLOW_MAJOR(136), ALLOW_DEVICE(10, 200),
        ANSWER(0),
    };
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insns = (uint64_t)(uintptr_t)program,
        .insn_cnt = LENGTH(program),
        .license = (uint64_t)(uintptr_t) "Apache-2.0",
    };
    int loaded = must(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes), "BPF_PROG_LOAD");
    union bpf_attr attach = {
        .target_fd = cgroup,
        .attach_bpf_fd = loaded,
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    must(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach), "BPF_PROG_ATTACH");
    close(loaded);
}

static void make_cgroups_v1(void)
{
    for (int index = 0; index < hierarchy_count; index++) {
        const struct hierarchy *hierarchy = &hierarchies[index];
        must(mkdir(hierarchy->directory, 0755), hierarchy->directory);
        if (strcmp(hierarchy->name, "cpuset") == 0) {
            copy_cpuset(hierarchy->directory, "cpuset.cpus");
            copy_cpuset(hierarchy->directory, "cpuset.mems");
        } else if (strcmp(hierarchy->name, "devices") == 0) {
            allow_devices_v1(hierarchy->directory);
        }
    }
}

static int make_cgroup_v2(void)
{
    const char *directory = hierarchies[0].directory;
    must(mkdir(directory, 0755), directory);
    int cgroup = must(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), directory);
    allow_devices_v2(cgroup);
    return cgroup;
}

/* ---- the container, in the child ---- */

/* Writing 0 moves the writer at once; writing a pid would wait for a grace period of the kernel. */
static void join_cgroups_v1(void)
{
    for (int index = 0; index < hierarchy_count; index++)
        write_file(path("%s/tasks", hierarchies[index].directory), "0", 1);
}

static void make_network(void)
{
    must(unshare(CLONE_NEWNET), "unshare network");
    int descriptor = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    must(ioctl(descriptor, SIOCSIFFLAGS, &loopback), "loopback up");
    close(descriptor);
}

#define SAFE (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static void mount_cgroup_view_v1(void)
{
    must(mount("tmpfs", "sys/fs/cgroup", "tmpfs", SAFE, "mode=755"), "mount cgroup view");
    for (int index = 0; index < hierarchy_count; index++) {
        const struct hierarchy *hierarchy = &hierarchies[index];
        const char *target = path("sys/fs/cgroup/%s", hierarchy->name);
        must(mkdir(target, 0755), target);
        must(mount(hierarchy->directory, target, NULL, MS_BIND, NULL), target);
        must(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_RELATIME | SAFE, NULL), target);
        if (!strchr(hierarchy->name, ','))
            continue;
        /* cpu,cpuacct is also known as cpu and as cpuacct. */
        char names[sizeof hierarchy->name];
        strcpy(names, hierarchy->name);
        for (char *name = strtok(names, ","); name; name = strtok(NULL, ","))
            must(symlink(hierarchy->name, path("sys/fs/cgroup/%s", name)), name);
    }
    must(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_RELATIME | SAFE, NULL), "cgroup view ro");
}

static void make_mounts(void)
{
    must(mount("proc", "proc", "proc", 0, NULL), "mount proc");
    must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "mount dev");
    must(mkdir("dev/pts", 0755), "dev/pts");
    must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"), "devpts");
    must(mkdir("dev/shm", 0755), "dev/shm");
    must(mount("shm", "dev/shm", "tmpfs", SAFE, "mode=1777,size=65536k"), "mount shm");
    must(mkdir("dev/mqueue", 0755), "dev/mqueue");
    must(mount("mqueue", "dev/mqueue", "mqueue", SAFE, NULL), "mount mqueue");
    must(mount("sysfs", "sys", "sysfs", SAFE | MS_RDONLY, NULL), "mount sysfs");
    if (is_v2)
        must(mount("cgroup", "sys/fs/cgroup", "cgroup2", SAFE | MS_RDONLY | MS_RELATIME, NULL), "mount cgroup2");
    else
        mount_cgroup_view_v1();
}

static void make_devices(void)
{
    static const struct { const char *name; int major, minor; } nodes[] = {
        {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
    };
    static const struct { const char *target, *name; } links[] = {
        {"pts/ptmx", "dev/ptmx"},          {"/proc/self/fd", "dev/fd"},         {"/proc/self/fd/0", "dev/stdin"},
        {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
    };
    umask(0);
    for (size_t index = 0; index < LENGTH(nodes); index++)
        must(mknod(nodes[index].name, S_IFCHR | 0666, makedev(nodes[index].major, nodes[index].minor)), nodes[index].name);
    for (size_t index = 0; index < LENGTH(links); index++)
        must(symlink(links[index].target, links[index].name), links[index].name);
    umask(022);
}

static void change_root(void)
{
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "detach the old root");
    must(chdir("/"), "chdir");
}

static void protect_paths(void)
{
    static const char *const masked[] = {"/proc/acpi",        "/proc/asound",     "/proc/kcore",       "/proc/keys",
                                         "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                         "/sys/firmware",     "/proc/scsi"};
    static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
    const char *empty = NULL;
    for (size_t index = 0; index < LENGTH(masked); index++) {
        struct stat status;
        if (stat(masked[index], &status) < 0)
            continue;
        if (!S_ISDIR(status.st_mode)) {
            must(mount("/dev/null", masked[index], NULL, MS_BIND, NULL), masked[index]);
        } else if (empty) {
            must(mount(empty, masked[index], NULL, MS_BIND, NULL), masked[index]);
        } else {
            empty = masked[index];
            must(mount("tmpfs", empty, "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1"), empty);
        }
    }
    for (size_t index = 0; index < LENGTH(read_only); index++) {
        if (mount(read_only[index], read_only[index], NULL, MS_BIND | MS_REC, NULL) == 0)
            must(mount(NULL, read_only[index], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), read_only[index]);
    }
    must(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "read-only root");
}

static void take_identity(void)
{
    static const uint64_t kept = 1ull << CAP_AUDIT_WRITE | 1ull << CAP_KILL | 1ull << CAP_NET_BIND_SERVICE;
    must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl");
    struct rlimit files = {.rlim_cur = 1024, .rlim_max = 1024};
    must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
    for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
        if (!(kept >> capability & 1))
            must(prctl(PR_CAPBSET_DROP, capability), "drop capability");
    must(syscall(SYS_setgroups, 0, NULL), "setgroups");
    must(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
    must(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {
        {.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
        {.effective = kept >> 32, .permitted = kept >> 32},
    };
    must(syscall(SYS_capset, &header, sets), "capset");
    must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "ambient capabilities");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static void execute(char *const *arguments)
{
    char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};
    must(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC), "close_range");
    execve(arguments[0], arguments, environment);
    must(-1, arguments[0]);
}

static void container(void)
{
    char *const arguments[] = {is_detached ? "/bin/sleep" : "/bin/true", NULL};
    setsid();
    if (!is_v2)
        join_cgroups_v1();
    else
        must(unshare(CLONE_NEWCGROUP), "unshare cgroup");
    make_network();
    must(mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL), "slave");
    const char *rootfs = path("%s/rootfs", bundle);
    must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), rootfs);
    must(chdir(rootfs), rootfs);
    make_mounts();
    make_devices();
    change_root();
    protect_paths();
    must(sethostname("pinnace", 7), "sethostname");
    take_identity();
    execute(arguments);
}

/* ---- commands ---- */

static int wait_for(pid_t child)
{
    int status;
    must(waitpid(child, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void write_new(const char *file, const char *text)
{
    int descriptor = must(open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), file);
    must(write(descriptor, text, strlen(text)), file);
    close(descriptor);
}

/* The pipe ends when the child has executed its program. */
static int leave_running(pid_t child, int executed)
{
    char none, number[16];
    if (must(read(executed, &none, 1), "wait for execve") != 0 || waitpid(child, NULL, WNOHANG) != 0)
        return 1;
    snprintf(number, sizeof number, "%d", child);
    mkdir(root, 0700);
    write_new(path("%s/%s", root, id), number);
    if (pid_file)
        write_new(pid_file, number);
    return 0;
}

static int run(void)
{
    int executed[2];
    struct clone_args clone = {
        .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS,
        .exit_signal = SIGCHLD,
    };
    if (is_v2) {
        clone.flags |= CLONE_INTO_CGROUP;
        clone.cgroup = make_cgroup_v2();
    } else {
        make_cgroups_v1();
    }
    if (is_detached)
        must(pipe2(executed, O_CLOEXEC), "pipe");
    pid_t child = must(syscall(SYS_clone3, &clone, sizeof clone), "clone3");
    if (child == 0)
        container();
    if (is_detached) {
        close(executed[1]);
        return leave_running(child, executed[0]);
    }
    int code = wait_for(child);
    for (int index = 0; index < hierarchy_count; index++)
        must(rmdir(hierarchies[index].directory), hierarchies[index].directory);
    return code;
}

/* The cgroup files are opened while we still see the host's, and written to by whoever is to move. */
static int exec(char *const *arguments)
{
    int tasks[HIERARCHIES_MAX];
    struct clone_args clone = {.exit_signal = SIGCHLD};
    char number[16] = "";
    int state = must(open(path("%s/%s", root, id), O_RDONLY | O_CLOEXEC), id);
    must(read(state, number, sizeof number - 1), id);
    int process = must(syscall(SYS_pidfd_open, atoi(number), 0), "pidfd_open");
    int namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | (is_v2 ? CLONE_NEWCGROUP : 0);
    if (is_v2) {
        clone.flags = CLONE_INTO_CGROUP;
        clone.cgroup = must(open(hierarchies[0].directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), hierarchies[0].directory);
    }
    for (int index = 0; index < hierarchy_count && !is_v2; index++)
        tasks[index] = must(open(path("%s/tasks", hierarchies[index].directory), O_WRONLY | O_CLOEXEC), "tasks");
    must(setns(process, namespaces), "setns");
    pid_t child = must(syscall(SYS_clone3, &clone, sizeof clone), "clone3");
    if (child != 0)
        return wait_for(child);
    setsid();
    for (int index = 0; index < hierarchy_count && !is_v2; index++)
        must(write(tasks[index], "0", 1), "tasks");
    take_identity();
    execute(arguments);
    return 1;
}

/* Of a container that was left running: the benchmark asks once whether there is one. */
static int state(void)
{
    char number[16] = "";
    int file = must(open(path("%s/%s", root, id), O_RDONLY | O_CLOEXEC), id);
    must(read(file, number, sizeof number - 1), id);
    return printf("{\"status\": \"running\", \"pid\": %d}\n", atoi(number)) < 0;
}

/* Of a container that has ended and was waited for, and of what failed half-way: so what is not there is no error. */
static int delete(void)
{
    unlink(path("%s/%s", root, id));
    for (int index = 0; index < hierarchy_count; index++)
        rmdir(hierarchies[index].directory);
    return 0;
}

int main(int count, char **arguments)
{
    const char *command = NULL;
    int index = 1;
    for (; index < count && !id; index++) {
        const char *word = arguments[index];
        if (strcmp(word, "--version") == 0)
            return puts("the same kernel calls in straight line, in C") < 0;
        else if (strcmp(word, "--detach") == 0)
            is_detached = 1;
        else if (strcmp(word, "--force") == 0)
            continue;
        else if (strncmp(word, "--", 2) == 0 && index + 1 < count)
            *(strcmp(word, "--root") == 0 ? &root : strcmp(word, "--bundle") == 0 ? &bundle : &pid_file) = arguments[++index];
        else if (!command)
            command = word;
        else
            id = word;
    }
    if (id) {
        find_cgroups();
        if (strcmp(command, "run") == 0)
            return run();
        if (strcmp(command, "exec") == 0 && index < count)
            return exec(&arguments[index]);
        if (strcmp(command, "state") == 0)
            return state();
        if (strcmp(command, "delete") == 0)
            return delete();
    }
    fprintf(stderr, "floor: no such command: %s\n", command ? command : "none");
    return 2;
}
