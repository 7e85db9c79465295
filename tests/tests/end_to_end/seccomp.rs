//! Filters for system calls, seen from inside: a probe makes calls and tells what became of them.

mod agent;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use pinnace_tests::{
    Bundle, Container, Value, find_program, is_pinnace, json, run_within_limit, shared_configs, skip,
    tests_pinnace, workspace,
};

/// Makes the system call of each argument, `NUMBER:ARGUMENT:...`, and prints its errno.
const PROBE: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **calls) {
    for (int i = 1; i < count; i++) {
        long words[7] = {0};
        int n = 0;
        for (char *word = strtok(calls[i], ":"); word && n < 7; word = strtok(NULL, ":"))
            words[n++] = (long)strtoull(word, NULL, 0);
        errno = 0;
        syscall(words[0], words[1], words[2], words[3], words[4], words[5], words[6]);
        printf("%d\n", errno);
        fflush(stdout);
    }
    return 0;
}
"#;

/// The probe, compiled once for all tests.
fn probe() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let compiler = find_program("gcc")?;
        let directory = workspace().join("target/test-cache");
        fs::create_dir_all(&directory).expect("make the cache directory");
        let program = directory.join("seccomp-probe");
        let built = directory.join(format!("seccomp-probe.{}", std::process::id()));
        let source = built.with_extension("c");
        fs::write(&source, PROBE).expect("write the probe");
        let mut command = Command::new(compiler);
        command.args(["-static", "-O1", "-o"]).arg(&built).arg(&source);
        run_within_limit(command).succeeded();
        fs::remove_file(source).expect("remove the source");
        fs::rename(built, &program).expect("keep the probe");
        Some(program)
    };
    PROGRAM.get_or_init(build).as_ref()
}

/// A bundle with this profile whose program is the probe with these calls. Skips aloud, with `None`, where there is no compiler.
fn probing(profile: Value, calls: &[&str]) -> Option<Bundle> {
    let Some(probe) = probe() else {
        skip("gcc is not installed");
        return None;
    };
    let bundle = Bundle::new();
    fs::copy(probe, bundle.rootfs().join("bin/probe")).expect("copy the probe");
    let args: Vec<&str> = ["/bin/probe"].into_iter().chain(calls.iter().copied()).collect();
    Some(bundle.args(&args).set("/linux/seccomp", profile))
}

/// What the probe prints with and without noNewPrivileges, as root and as another user: always the same.
#[track_caller]
fn check(profile: &Value, calls: &[&str], expected: &[&str]) {
    for no_new_privileges in [true, false] {
        for uid in [0, 1000] {
            let Some(bundle) = probing(profile.clone(), calls) else { return };
            let outcome = bundle
                .set("/process/noNewPrivileges", json!(no_new_privileges))
                .set("/process/user", json!({"uid": uid, "gid": uid}))
                .run();
            let lines: Vec<&str> = outcome.succeeded().lines().collect();
            assert_eq!(lines, expected, "{no_new_privileges} {uid}: {profile}");
        }
    }
}

fn denying(names: &[&str], more: &Value) -> Value {
    let mut rule = json!({"names": names, "action": "SCMP_ACT_ERRNO"});
    for (key, value) in more.as_object().expect("an object") {
        rule[key] = value.clone();
    }
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
}

/// Calls that neither the probe nor its C library makes.
const GETPPID: &str = "110";
const PERSONALITY: &str = "135";

#[test]
fn a_rule_returns_its_errno() {
    check(&denying(&["getppid"], &json!({})), &[GETPPID], &["1"]);
    check(&denying(&["getppid", "nosuchcall"], &json!({"errnoRet": 38})), &[GETPPID, "39"], &["38", "0"]);
}

#[test]
fn a_rule_looks_at_arguments() {
    let rule = |args: Value| denying(&["personality"], &json!({"errnoRet": 7, "args": args}));
    let asks = |value: &str| format!("{PERSONALITY}:{value}");
    let (all, one, high) = (asks("0xffffffff"), asks("1"), asks("0x1ffffffff"));
    let calls = [all.as_str(), &one, &high];
    let equal = json!([{"index": 0, "value": 0xffff_ffff_u32, "op": "SCMP_CMP_EQ"}]);
    check(&rule(equal), &calls, &["7", "0", "0"]);
    let greater = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_GT"}]);
    check(&rule(greater), &calls, &["7", "0", "7"]);
    let masked = json!([{"index": 0, "value": 0x1_0000_0000_u64, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]);
    check(&rule(masked), &calls, &["7", "7", "0"]);
    let either = json!([
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 0xffff_ffff_u32, "op": "SCMP_CMP_EQ"}
    ]);
    check(&rule(either), &calls, &["7", "7", "0"]);
}

#[test]
fn rules_that_overlap_are_libseccomps_to_decide() {
    let above = |value: u64, errno: u32| {
        json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno,
            "args": [{"index": 0, "value": value, "op": "SCMP_CMP_GT"}]})
    };
    let rules = json!([above(10, 7), above(20, 8)]);
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 9, "syscalls": [
        {"names": ["execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlink",
            "readlinkat", "getrandom", "mprotect", "newfstatat", "fstat", "write", "exit_group"], "action": "SCMP_ACT_ALLOW"},
        rules[0], rules[1]
    ]});
    let asks = format!("{PERSONALITY}:15");
    check(&profile, &[&asks, "600", GETPPID], &["7", "38", "9"]);
}

#[test]
fn every_flag_is_taken_by_the_kernel() {
    for flags in [
        json!([]),
        Value::Null,
        json!(["SECCOMP_FILTER_FLAG_TSYNC"]),
        json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]),
    ] {
        let mut profile = denying(&["getppid"], &json!({"errnoRet": 4}));
        profile["flags"] = flags;
        check(&profile, &[GETPPID], &["4"]);
    }
}

#[test]
fn the_filter_is_in_force_and_nothing_else_has_changed() {
    for no_new_privileges in [true, false] {
        let status = |profile: Option<Value>| {
            let bundle = Bundle::new().set("/process/noNewPrivileges", json!(no_new_privileges));
            let bundle = match profile {
                Some(profile) => bundle.set("/linux/seccomp", profile),
                None => bundle,
            };
            let outcome = bundle.shell("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status").run();
            outcome.succeeded().to_owned()
        };
        let without = status(None);
        let with = status(Some(denying(&["getppid"], &json!({}))));
        assert!(without.contains("Seccomp:\t0"), "{without}");
        assert_eq!(with, without.replace("Seccomp:\t0", "Seccomp:\t2"));
        assert_eq!(status(Some(json!({}))), without);
    }
}

#[test]
fn a_program_without_capabilities_keeps_none_of_what_the_filter_needed() {
    let outcome = Bundle::new()
        .set("/process/noNewPrivileges", json!(false))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .set("/process/capabilities", Value::Null)
        .set("/linux/seccomp", denying(&["getppid"], &json!({})))
        .shell("grep -E '^(CapInh|CapPrm|CapEff|CapAmb)' /proc/self/status")
        .run();
    for line in outcome.succeeded().lines() {
        assert!(line.ends_with("\t0000000000000000"), "{}", outcome.describe());
    }
}

#[test]
fn a_killing_filter_ends_the_program_with_its_signal() {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] {
        let Some(bundle) = probing(denying(&["getppid"], &json!({"action": action})), &["39", GETPPID, "39"])
        else {
            return;
        };
        let outcome = bundle.run();
        assert_eq!(outcome.exited(159), "0", "{action}");
    }
    // Not even execve is allowed: the container ends as its program would.
    let outcome = Bundle::new().set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_KILL"})).run();
    outcome.exited(159);
}

#[test]
fn calls_that_are_newer_than_the_profile_are_enosys() {
    let Some(directory) = shared_configs() else {
        return skip("../shared/configs is not there");
    };
    let text = fs::read_to_string(directory.join("docker-run-rm.json")).expect("read docker's config.json");
    let config: Value = text.parse().expect("JSON");
    let profile = config["linux"]["seccomp"].clone();
    // 600 is newer than every profile; reboot(2) is none that docker allows.
    check(&profile, &["600", "169", "39"], &["38", "1", "0"]);
    // With a default that lets through, the kernel says it itself.
    check(&json!({"defaultAction": "SCMP_ACT_LOG", "syscalls": []}), &["600"], &["38"]);
}

#[test]
fn create_and_start_load_the_filter_too() {
    let Some(bundle) =
        probing(denying(&["getppid", "accept4", "recvmsg", "capset"], &json!({"errnoRet": 9})), &[GETPPID])
    else {
        return;
    };
    let container = bundle.set("/process/noNewPrivileges", json!(false)).container();
    let created = container.create();
    created.succeeded();
    container.start().succeeded();
    container.wait_stopped();
    assert_eq!(created.stdout_now().trim(), "9");
}

#[test]
fn a_program_that_cannot_be_executed_is_reported_under_the_filter() {
    let container = Bundle::new()
        .file("/bin/broken", "#!/no/such/interpreter\n", 0o755)
        .args(&["/bin/broken"])
        .set("/linux/seccomp", denying(&["getppid"], &json!({})))
        .container();
    container.run().failed_with(&["exec", "no such file or directory"]);
    container.create().succeeded();
    container.start().failed_with(&["no such file or directory"]);
}

#[test]
fn a_profile_with_a_fault_is_refused_by_its_path_and_leaves_nothing() {
    if !tests_pinnace() {
        return;
    }
    for (profile, path) in [
        (denying(&[], &json!({})), "$.linux.seccomp.syscalls[0].names"),
        (
            denying(&["read"], &json!({"action": "SCMP_ACT_KILL", "errnoRet": 1})),
            "$.linux.seccomp.syscalls[0].errnoRet",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_SH"]}),
            "$.linux.seccomp.architectures[0]",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}),
            "$.linux.seccomp.listenerMetadata",
        ),
    ] {
        let container = Bundle::new().set("/linux/seccomp", profile).container();
        let before = container.snapshot();
        container.run().failed_with(&[path]);
        container.snapshot().assert_same_as(&before);
    }
}

/// The compiled profiles of a container's state root, with when they were written.
fn cached(container: &Container) -> Vec<(PathBuf, std::time::SystemTime)> {
    let entries = fs::read_dir(container.state_root().join("@seccomp")).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| (entry.path(), entry.metadata().expect("stat").modified().expect("a time")))
        .collect();
    files.sort();
    files
}

#[test]
fn a_profile_is_compiled_once() {
    if !tests_pinnace() {
        return;
    }
    let Some(bundle) = probing(denying(&["getppid"], &json!({"errnoRet": 5})), &[GETPPID]) else { return };
    let container = bundle.container();
    assert_eq!(container.run().succeeded(), "5");
    let files = cached(&container);
    assert_eq!(files.len(), 1);
    assert_eq!(container.run().succeeded(), "5");
    assert_eq!(cached(&container), files);
    // It is no container.
    assert!(!container.call(&["list", "--quiet"]).succeeded().contains("seccomp"));
}

#[test]
fn a_profile_that_differs_in_an_errno_is_another() {
    let Some(bundle) = probing(denying(&["getppid"], &json!({"errnoRet": 5})), &[GETPPID]) else { return };
    let first = bundle.container();
    assert_eq!(first.run().succeeded(), "5");
    let Some(bundle) = probing(denying(&["getppid"], &json!({"errnoRet": 6})), &[GETPPID]) else { return };
    let second = bundle.container().with_state_root(first.state_root().clone());
    assert_eq!(second.run().succeeded(), "6");
    assert_eq!(first.run().succeeded(), "5");
}

#[test]
fn a_cached_profile_that_was_tampered_with_is_not_used() {
    if !tests_pinnace() {
        return;
    }
    let Some(bundle) = probing(denying(&["getppid"], &json!({"errnoRet": 5})), &[GETPPID]) else { return };
    let container = bundle.container();
    assert_eq!(container.run().succeeded(), "5");
    let (file, _) = cached(&container).remove(0);
    let good = fs::read(&file).expect("read the cached profile");
    // One that allows everything, under the digest of the other.
    let allow_all = [&good[..32], &[6, 0, 0, 0, 0, 0, 0xff, 0x7f]].concat();
    fs::write(&file, &allow_all).expect("tamper");
    assert_eq!(container.run().succeeded(), "5");
    assert_eq!(fs::read(&file).expect("read"), good, "it was compiled anew");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).expect("chmod");
    assert_eq!(container.run().succeeded(), "5");
    let directory = container.state_root().join("@seccomp");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("chmod");
    fs::write(&file, &allow_all).expect("tamper");
    assert_eq!(container.run().succeeded(), "5");
}

#[test]
fn many_containers_with_one_new_profile_start_at_once() {
    let profile = denying(&["getppid"], &json!({"errnoRet": 11}));
    let Some(bundle) = probing(profile.clone(), &[GETPPID]) else { return };
    let first = bundle.container();
    let others: Vec<Container> = (0..6)
        .filter_map(|_| Some(probing(profile.clone(), &[GETPPID])?.container()))
        .map(|container| container.with_state_root(first.state_root().clone()))
        .collect();
    std::thread::scope(|scope| {
        // A container that goes takes all of its state root away: they stay until all have run.
        for container in &others {
            scope.spawn(|| assert_eq!(container.run().succeeded(), "11"));
        }
    });
    if is_pinnace() {
        assert_eq!(cached(&first).len(), 1);
    }
}

/// Our own layout takes four instructions for each, and the kernel 4096 in all: libseccomp's takes one.
#[test]
fn thousands_of_rules_for_one_call_hold() {
    let rule = |value: u32| {
        let condition = json!({"index": 0, "value": value, "op": "SCMP_CMP_EQ"});
        json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7, "args": [condition]})
    };
    let values = 0x1_0000..0x1_0000 + 3000;
    let profile =
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": values.clone().map(rule).collect::<Vec<_>>()});
    let asks = |value: u32| format!("{PERSONALITY}:{value}");
    let calls = [values.start, values.start + 1500, values.end - 1, values.end].map(asks);
    let calls = calls.each_ref().map(String::as_str);
    let Some(bundle) = probing(profile, &calls) else { return };
    let outcome = bundle.run();
    assert_eq!(outcome.succeeded().lines().collect::<Vec<_>>(), ["7", "7", "7", "0"]);
}

/// libseccomp takes minutes for such profiles, and the kernel none of them.
#[test]
fn a_profile_that_no_kernel_takes_is_refused_at_once() {
    if !tests_pinnace() {
        return;
    }
    for (count, what) in [(20_000, "rules with conditions"), (1500, "instructions")] {
        let rules: Vec<Value> = (0..count)
            .map(|value| {
                let condition = |index: u32| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
                json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [condition(0), condition(1)]})
            })
            .collect();
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules});
        let container = Bundle::new().set("/linux/seccomp", profile).container();
        let begin = std::time::Instant::now();
        container.create().failed_with(&[
            "$.linux.seccomp.syscalls: ",
            what,
            "the kernel takes 4096 instructions at most",
        ]);
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}
