//! When the program runs, where its memory lies, and as what machine it sees the host.

use pinnace_tests::{Bundle, Outcome, Value, cgroup_hierarchies, json, skip};

fn with_scheduler(scheduler: Value) -> Bundle {
    Bundle::new().set("/process/scheduler", scheduler).args(&["/bin/cat", "/proc/self/stat"])
}

/// `(nice, real-time priority, policy)` of the program: fields 19, 40 and 41 of proc_pid_stat(5).
#[track_caller]
fn scheduling(outcome: &Outcome) -> (i32, i32, i32) {
    let (_, rest) = outcome.succeeded().rsplit_once(") ").expect("a line of stat");
    let fields: Vec<i32> = rest.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    (fields[19 - 3], fields[40 - 3], fields[41 - 3])
}

#[test]
fn policies_of_everyday_are_set_with_their_nice_value() {
    for (policy, nice, number) in [("SCHED_OTHER", 5, 0), ("SCHED_BATCH", -3, 3), ("SCHED_IDLE", 0, 5)] {
        let outcome = with_scheduler(json!({"policy": policy, "nice": nice})).run();
        assert_eq!(scheduling(&outcome), (nice, 0, number), "{policy}");
    }
}

#[test]
fn scheduler_is_set_for_a_user_without_privileges_too() {
    let outcome = with_scheduler(json!({"policy": "SCHED_OTHER", "nice": -7}))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .run();
    assert_eq!(scheduling(&outcome), (-7, 0, 0));
}

#[test]
fn real_time_policy_is_set_where_the_cgroup_has_a_budget() {
    let has_cpu = |controllers: &String| controllers.split(',').any(|name| name == "cpu");
    let has_budgets = cgroup_hierarchies().keys().any(has_cpu);
    let scheduler = json!({"policy": "SCHED_RR", "priority": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let outcome = with_scheduler(scheduler)
        .edit(|config| {
            // cgroup v2 has no budgets, and its kernels mostly need none.
            if has_budgets {
                config["linux"]["resources"]["cpu"] =
                    json!({"realtimeRuntime": 10000, "realtimePeriod": 1000000});
            }
        })
        .run();
    if outcome.stderr.contains("rt_runtime_us") || outcome.stderr.contains("real-time budget") {
        return skip("the host's cgroups have no real-time budget");
    }
    assert_eq!(scheduling(&outcome), (0, 7, 2));
}

#[test]
fn deadline_policy_is_set_with_its_flags() {
    let scheduler = json!({"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 10000000, "period": 20000000,
        "flags": ["SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RECLAIM"]});
    let outcome = with_scheduler(scheduler).run();
    if ["operation not permitted", "device or resource busy"].iter().any(|why| outcome.stderr.contains(why)) {
        return skip("the processors' real-time bandwidth is not to be had here");
    }
    let (_, _, policy) = scheduling(&outcome);
    assert_eq!(policy, 6);
}

#[test]
fn policy_that_no_kernel_has_is_an_error_that_names_it() {
    with_scheduler(json!({"policy": "SCHED_ISO"})).run().failed_with(&[
        "set-scheduler SCHED_ISO",
        "sched_setattr",
        "invalid argument",
    ]);
}

#[test]
fn priority_that_the_policy_does_not_have_is_refused() {
    let refused = |scheduler: Value, parts: &[&str]| {
        with_scheduler(scheduler).run().failed_with(parts);
    };
    refused(json!({"policy": "SCHED_OTHER", "nice": 20}), &["invalid scheduler.nice: 20"]);
    refused(
        json!({"policy": "SCHED_BATCH", "priority": 1}),
        &["scheduler.priority can only be specified for SchedFIFO or SchedRR policy"],
    );
    refused(
        json!({"policy": "SCHED_FIFO", "priority": 1, "runtime": 1000}),
        &["scheduler runtime/deadline/period can only be specified for SchedDeadline policy"],
    );
    refused(json!({"policy": "SCHED_LATER"}), &["SCHED_LATER"]);
}

#[test]
fn io_priority_is_set() {
    for (class, priority, expected) in [
        ("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"),
        ("IOPRIO_CLASS_RT", 1, "realtime: prio 1"),
        ("IOPRIO_CLASS_IDLE", 0, "idle"),
    ] {
        let outcome = Bundle::new()
            .set("/process/ioPriority", json!({"class": class, "priority": priority}))
            .shell("ionice -p $$")
            .run();
        assert_eq!(outcome.succeeded(), expected, "{class}");
    }
}

#[test]
fn io_priority_out_of_range_is_refused() {
    Bundle::new()
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8}))
        .run()
        .failed_with(&["invalid ioPriority.Priority: 8"]);
}

#[test]
fn personality_changes_the_machine_that_the_program_sees() {
    let machine = |domain: &str| {
        let bundle = Bundle::new().set("/linux/personality", json!({"domain": domain}));
        bundle.args(&["/bin/uname", "-m"]).run().succeeded().to_owned()
    };
    let own = Bundle::new().args(&["/bin/uname", "-m"]).run().succeeded().to_owned();
    assert_eq!(machine("LINUX"), own);
    let expected = if own == "x86_64" { "i686" } else { "armv8l" };
    assert_eq!(machine("LINUX32"), expected);
}

#[test]
fn flag_of_a_personality_is_a_warning() {
    let outcome = Bundle::new()
        .set("/linux/personality", json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}))
        .run();
    outcome.succeeded();
    assert!(outcome.stderr.contains("ignoring unsupported personality flags"), "{}", outcome.describe());
}

#[test]
fn memory_policy_is_that_of_the_program() {
    for (policy, expected) in [
        (json!({"mode": "MPOL_BIND", "nodes": "0"}), "bind:0"),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}), "bind=static:0"),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}), "interleave:0"),
        (json!({"mode": "MPOL_PREFERRED", "nodes": "0"}), "prefer:0"),
        (json!({"mode": "MPOL_PREFERRED"}), "local"),
        (json!({"mode": "MPOL_LOCAL", "nodes": ""}), "local"),
        (json!({"mode": "MPOL_DEFAULT"}), "default"),
    ] {
        let outcome = Bundle::new()
            .set("/linux/memoryPolicy", policy.clone())
            .shell("cut -d' ' -f2 /proc/self/numa_maps | sort | uniq -c | sort -n | tail -n 1")
            .run();
        if outcome.code != 0 && outcome.stderr.contains("function not implemented") {
            return skip("the kernel knows no NUMA");
        }
        let found = outcome.succeeded().split_whitespace().last().unwrap_or_default();
        assert_eq!(found, expected, "{policy}");
    }
}

#[test]
fn memory_policy_that_contradicts_itself_is_refused() {
    let refused = |policy: Value, parts: &[&str]| {
        Bundle::new().set("/linux/memoryPolicy", policy).run().failed_with(parts);
    };
    refused(json!({"mode": "MPOL_BIND"}), &["requires at least one node but got 0"]);
    refused(json!({"mode": "MPOL_LOCAL", "nodes": "0-1"}), &["requires 0 nodes but got 2"]);
    refused(json!({"mode": "MPOL_SOMEWHERE"}), &["MPOL_SOMEWHERE"]);
    refused(json!({"mode": "MPOL_BIND", "nodes": "500"}), &["set_mempolicy", "MPOL_BIND 500"]);
}

#[test]
fn affinity_for_exec_is_checked_but_leaves_the_first_process_alone() {
    let list = ["/bin/grep", "Cpus_allowed_list", "/proc/self/status"];
    let own = Bundle::new().args(&list).run().succeeded().to_owned();
    let affinity = json!({"initial": "0", "final": "0"});
    assert_eq!(Bundle::new().set("/process/execCPUAffinity", affinity).args(&list).run().succeeded(), own);
    for bad in ["0-", "a", "3-1", "99999"] {
        let affinity = json!({"initial": "0", "final": bad});
        let outcome = Bundle::new().set("/process/execCPUAffinity", affinity).run();
        outcome.failed_with(&["$.process.execCPUAffinity.final"]);
    }
}

#[test]
fn processors_of_the_caller_are_not_those_of_the_container() {
    let Some(taskset) = pinnace_tests::find_program("taskset") else {
        return pinnace_tests::skip("util-linux is not installed");
    };
    let script = "grep Cpus_allowed_list /proc/self/status";
    let expected = Bundle::new().shell(script).run();
    let container = Bundle::new().shell(script).container();
    let run = container.create_command("run", &[]);
    let mut command = std::process::Command::new(taskset);
    command.arg("1").arg(run.get_program()).args(run.get_args());
    assert_eq!(pinnace_tests::run_within_limit(command).succeeded(), expected.succeeded());
}
