//! `doctor`: it tells of this host what the kernel says, agrees with what starts do, and changes nothing.

use std::fs;
use std::process::Command;

use pinnace_tests::{
    Bundle, Outcome, Value, cgroup_hierarchies, find_program, is_pinnace, json, program, run_within_limit,
    skip, tests_pinnace,
};

use super::user_namespace::{by_user, of_user};

/// The document, whose `canStart` is what the exit code says.
#[track_caller]
fn document(outcome: &Outcome) -> Value {
    assert_eq!(outcome.stderr, "");
    let document: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(document["canStart"], json!(outcome.code == 0), "{}", outcome.describe());
    document
}

/// What was found about a subject, `level: text` each.
fn found(document: &Value, subject: &str) -> Vec<String> {
    let symptoms = document["symptoms"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    symptoms
        .filter(|symptom| symptom["subject"] == subject)
        .map(|symptom| format!("{}: {}", text(&symptom["level"]), text(&symptom["found"])))
        .collect()
}

#[test]
fn root_is_told_what_the_kernel_says_and_nothing_changes() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/true"]).container();
    let before = container.snapshot();
    let outcome = container.call(&["doctor", "--format", "json"]);
    container.snapshot().assert_same_as(&before);
    let document = document(&outcome);

    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version: Vec<&str> = release.split(['.', '-']).take(2).collect();
    assert_eq!(found(&document, "kernel")[0], format!("ok: Linux {}", version.join(".")));
    let versions = fs::read_to_string("/proc/self/cgroup").unwrap();
    let old = cgroup_hierarchies().values().filter(|path| !path.join("cgroup.controllers").exists()).count();
    let cgroups = &found(&document, "cgroups")[0];
    match (old, versions.contains("0::")) {
        (0, _) => assert_eq!(cgroups, "ok: v2"),
        (count, _) => assert!(
            cgroups.starts_with("slow: v1") && cgroups.ends_with(&format!(": {count} hierarchies")),
            "{cgroups}"
        ),
    }
    let mount_count = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    assert!(found(&document, "mounts")[0].ends_with(&format!(": {mount_count} in our mount namespace")));

    // It agrees with a start.
    assert_eq!(outcome.code, 0, "{}", outcome.describe());
    container.run().succeeded();
}

#[test]
fn each_finding_is_a_line_with_its_meaning_and_advice_below() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let text = container.call(&["doctor"]);
    let document = document(&container.call(&["doctor", "--format", "json"]));
    for symptom in document["symptoms"].as_array().unwrap() {
        for field in ["level", "subject", "found", "meaning", "advice"] {
            let value = symptom[field].as_str().unwrap_or_default().to_lowercase();
            // What is counted may be another number by now.
            let is_counted = value.starts_with(|first: char| first.is_ascii_digit());
            assert!(is_counted || text.stdout.to_lowercase().contains(&value), "{value}");
        }
        let is_bad = symptom["level"] == "slow" || symptom["level"] == "missing";
        assert!(!is_bad || symptom["meaning"].is_string(), "{symptom}");
    }
    container.call(&["doctor", "--format", "yaml"]).failed_with(&["invalid format option"]);
}

#[test]
fn a_capability_without_which_nothing_starts_is_named() {
    let Some(setpriv) = find_program("setpriv").filter(|_| is_pinnace()) else {
        return skip("setpriv is not installed");
    };
    let container = Bundle::new().args(&["/bin/true"]).container();
    for (capability, starts) in [("mknod", false), ("setpcap", false), ("chown", true)] {
        let call = |command: Command| {
            let mut limited = Command::new(&setpriv);
            limited.arg(format!("--bounding-set=-{capability}")).arg(program()).args(command.get_args());
            run_within_limit(limited)
        };
        let document = document(&call(container.command(&["doctor", "--format", "json"])));
        let line = format!("missing: we lack CAP_{}", capability.to_uppercase());
        assert!(found(&document, "capabilities").contains(&line), "{document}");
        assert_eq!(document["canStart"], json!(starts), "{document:#}");
        let run = call(container.create_command("run", &[]));
        assert_eq!(run.code == 0, starts, "{}", run.describe());
    }
}

#[test]
fn root_of_a_user_namespace_is_told_why_nothing_starts() {
    let Some(unshare) = find_program("unshare").filter(|_| is_pinnace()) else {
        return skip("unshare is not installed");
    };
    let container = Bundle::new().args(&["/bin/true"]).container();
    let bundle = container.bundle.path().to_str().expect("UTF-8").to_owned();
    // Their own config.json has no group for terminals; the default one has.
    for option in ["-Ur", "-Urm"] {
        let call = |command: Command| {
            let mut inside = Command::new(&unshare);
            inside.arg(option).arg(program()).args(command.get_args());
            run_within_limit(inside)
        };
        let document = document(&call(container.command(&["doctor", "--format", "json"])));
        assert_eq!(document["canStart"], json!(false), "{document:#}");
        assert!(
            found(&document, "ids").contains(&String::from("missing: our user namespace has no group 5")),
            "{document:#}"
        );
        let validated = call(container.command(&["validate", "--bundle", &bundle]));
        let run = call(container.create_command("run", &[]));
        assert_eq!(validated.code == 0, run.code == 0, "{}\n{}", validated.describe(), run.describe());
    }
}

#[test]
fn a_procfs_that_is_missing_or_shows_processes_alone_is_told_for_what_it_is() {
    let Some(unshare) = find_program("unshare").filter(|_| is_pinnace()) else {
        return skip("unshare is not installed");
    };
    let container = Bundle::new().container();
    let doctor = |preparation: &str| {
        let mut inside = Command::new(&unshare);
        let script = format!("{preparation} && exec \"$0\" \"$@\"");
        inside.args(["-m", "sh", "-c", &script]).arg(program()).args(["doctor", "--format", "json"]);
        document(&run_within_limit(inside))
    };
    let without = doctor("umount -l /proc");
    assert_eq!(without["canStart"], json!(false), "{without:#}");
    assert_eq!(found(&without, "procfs"), ["missing: none is mounted on /proc"]);
    let all = document(&run_within_limit(container.command(&["doctor", "--format", "json"])));
    let some = doctor("mount -t proc -o subset=pid proc /proc");
    for subject in ["seccomp", "keyrings"] {
        assert_eq!(found(&some, subject), found(&all, subject));
    }
}

/// The kernel lets nobody see in a new procfs what is covered in all that he sees.
#[test]
fn a_procfs_that_is_covered_is_told_to_root_of_a_user_namespace() {
    let Some(unshare) = find_program("unshare").filter(|_| is_pinnace()) else {
        return skip("unshare is not installed");
    };
    let container = Bundle::new().args(&["/bin/true"]).container();
    let bundle = container.bundle.path().to_str().expect("UTF-8").to_owned();
    for (covering, is_covered) in [("true", false), ("mount -t tmpfs none /proc/tty", true)] {
        let call = |command: Command| {
            // Other tests may have theirs mounted somewhere.
            let script = format!(
                "grep ' - proc ' /proc/self/mountinfo | cut -d' ' -f5 | grep -vx /proc | xargs -r umount; \
                 {covering} && exec unshare -Urm \"$0\" --cgroup-manager disabled \"$@\""
            );
            let mut inside = Command::new(&unshare);
            inside.args(["-m", "sh", "-c", &script]).arg(program()).args(command.get_args());
            run_within_limit(inside)
        };
        let document = document(&call(container.command(&["doctor", "--format", "json"])));
        assert_eq!(!found(&document, "procfs").is_empty(), is_covered, "{document:#}");
        let validated = call(container.command(&["validate", "--bundle", &bundle]));
        assert_eq!(
            validated.stdout.contains("proc: the kernel refuses a new one"),
            is_covered,
            "{}",
            validated.describe()
        );
        let run = call(container.create_command("run", &[]));
        assert_eq!(validated.code == 0, run.code == 0, "{}\n{}", validated.describe(), run.describe());
    }
}

#[test]
fn a_hard_limit_of_files_below_the_default_is_told() {
    let Some(setpriv) = find_program("setpriv").filter(|_| is_pinnace()) else {
        return skip("setpriv is not installed");
    };
    let limit = json!([{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}]);
    let container = Bundle::new().set("/process/rlimits", limit).args(&["/bin/true"]).container();
    for (limit, starts) in [(512, false), (1024, true)] {
        let call = |command: Command| {
            let mut limited = Command::new("sh");
            limited.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(&setpriv);
            limited.arg("--bounding-set=-sys_resource").arg(program()).args(command.get_args());
            run_within_limit(limited)
        };
        let document = document(&call(container.command(&["doctor", "--format", "json"])));
        assert_eq!(document["canStart"], json!(starts), "{document:#}");
        let run = call(container.create_command("run", &[]));
        assert_eq!(run.code == 0, starts, "{}", run.describe());
    }
}

#[test]
fn a_root_that_cannot_be_made_is_named() {
    if !tests_pinnace() {
        return;
    }
    for root in ["/etc/passwd", "/etc/passwd/x", "/proc/nope", "/sys/nope"] {
        let mut command = Command::new(program());
        command.args(["--root", root, "doctor", "--format", "json"]);
        let document = document(&run_within_limit(command));
        assert_eq!(document["canStart"], json!(false), "{root}");
        assert!(found(&document, "state")[0].contains(root), "{document:#}");
    }
}

#[test]
fn an_ordinary_user_is_told_what_concerns_him() {
    if !tests_pinnace() {
        return;
    }
    let container = of_user(Bundle::new().args(&["/bin/true"]));
    let path = container.bundle.path();
    let Some(command) = by_user(&container, &["doctor", "--format", "json"]) else {
        return skip("setpriv is not installed");
    };
    let document = document(&run_within_limit(command));
    assert_eq!(found(&document, "ids").len(), 1, "{document:#}");
    assert_eq!(found(&document, "capabilities"), Vec::<String>::new());
    // It agrees with a start.
    let run = by_user(&container, &["run", "--bundle", path.to_str().unwrap(), &container.id]).unwrap();
    let run = run_within_limit(run);
    assert_eq!(document["canStart"], json!(run.code == 0), "{}\n{document:#}", run.describe());

    let mut nowhere = by_user(&container, &["doctor"]).unwrap();
    nowhere.env_remove("XDG_RUNTIME_DIR");
    let outcome = run_within_limit(nowhere);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stdout.contains("XDG_RUNTIME_DIR is not set"), "{}", outcome.describe());
}
