//! What a container uses, and what happens to it: one line of JSON each, in runc's words.

use std::time::{Duration, Instant};

use pinnace_tests::{
    Bundle, Container, Value, cgroup_hierarchies, is_pinnace, json, skip, spawn, wait_until,
};

const MIB: u64 = 1 << 20;

#[track_caller]
fn stats(container: &Container) -> Value {
    let outcome = container.call(&["events", "--stats", &container.id]);
    assert_eq!(outcome.succeeded().lines().count(), 1, "{}", outcome.describe());
    let event: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(container.id)), "{event}");
    event["data"].clone()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The names of an object, in the order of the document.
fn names(text: &str) -> Vec<String> {
    let value: serde_json::Map<String, Value> = serde_json::from_str(text).expect("an object");
    value.keys().cloned().collect()
}

fn on_v1() -> bool {
    let found = cgroup_hierarchies().contains_key("memory");
    if !found {
        skip("events", "no v1 hierarchy `memory` on this machine");
    }
    found
}

#[test]
fn stats_are_in_the_words_and_figures_of_the_kernels_files() {
    if !on_v1() {
        return;
    }
    let script =
        "number=0; while [ $number -lt 20000 ]; do number=$((number + 1)); done; echo done; exec sleep 100";
    let container = Bundle::new()
        .set("/linux/resources/memory", json!({"limit": 64 * MIB, "swap": 96 * MIB}))
        .set("/linux/resources/pids", json!({"limit": 17}))
        .set("/linux/resources/cpu", json!({"cpus": "0", "mems": "0", "quota": 10000, "period": 100_000}))
        .shell(script)
        .container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("the program has worked", || outcome.stdout_now().contains("done"));
    let stats = stats(&container);
    for part in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"] {
        assert!(stats[part].is_object(), "{part}: {stats}");
    }
    assert!(stats.as_object().expect("an object").contains_key("network_interfaces"), "{stats}");
    assert_eq!(stats["pids"], json!({"current": 1, "limit": 17}));
    assert_eq!(stats["memory"]["usage"]["limit"], json!(64 * MIB));
    assert_eq!(stats["memory"]["swap"]["limit"], json!(96 * MIB));
    let usage = stats["memory"]["usage"]["usage"].as_u64().expect("a number");
    assert!((1..64 * MIB).contains(&usage), "{stats}");
    // The kernel brings these figures up to date only now and then.
    assert!(stats["memory"]["raw"]["pgfault"].is_u64(), "{stats}");
    let cpu = &stats["cpu"];
    let total = cpu["usage"]["total"].as_u64().expect("a number");
    let by_processor = cpu["usage"]["percpu"].as_array().expect("a list");
    assert!(total > 1_000_000, "{stats}");
    assert_eq!(by_processor.iter().filter_map(Value::as_u64).sum::<u64>(), total);
    assert!(cpu["throttling"]["throttledTime"].as_u64().expect("a number") > 0, "{stats}");
    assert_eq!(stats["cpuset"]["cpus"], json!([0]));
    assert_eq!(stats["cpuset"]["sched_load_balance"], json!(1));
}

#[test]
fn document_has_runcs_names() {
    if !on_v1() {
        return;
    }
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    let stats = stats(&container);
    for (part, expected) in [
        ("", "blkio cpu cpuset hugetlb intel_rdt memory network_interfaces pids"),
        (
            "cpuset",
            "cpu_exclusive cpus mem_exclusive mem_hardwall memory_migrate memory_pressure memory_spread_page \
             memory_spread_slab mems sched_load_balance sched_relax_domain_level",
        ),
    ] {
        let text = if part.is_empty() { stats.to_string() } else { stats[part].to_string() };
        let mut found = names(&text);
        found.sort();
        assert_eq!(found.join(" "), expected, "{part}");
    }
    for name in ["usage", "swap", "kernel", "kernelTCP", "raw"] {
        assert!(stats["memory"][name].is_object(), "{name}: {stats}");
    }
}

#[test]
fn stream_ends_with_the_container() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    let stream = spawn(container.command(&["events", "--interval", "20ms", &container.id]));
    wait_until("three records are there", || stream.stdout_now().lines().count() >= 3);
    container.kill("KILL").succeeded();
    container.wait_stopped();
    if !is_pinnace() {
        // runc waits for the end of the cgroup.
        container.delete().succeeded();
    }
    let outcome = stream.finish();
    let events = lines(outcome.succeeded());
    assert!(events.iter().all(|event| event["type"] == "stats" && event["id"] == container.id.as_str()));
}

#[test]
fn records_come_at_the_interval() {
    if !is_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/sleep", "0.5"]).container();
    container.run_detached().succeeded();
    let begin = Instant::now();
    let outcome = container.call(&["events", "--interval", "200ms", &container.id]);
    let events = lines(outcome.succeeded());
    assert!(begin.elapsed() < Duration::from_secs(5), "{}", outcome.describe());
    assert!((1..=3).contains(&events.len()), "{}", outcome.describe());
}

#[test]
fn want_of_memory_is_an_event() {
    let memory = json!({"limit": 16 * MIB, "swap": 16 * MIB});
    let script =
        "read line < /go; head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; read line < /end";
    let bundle = Bundle::new().writable().set("/linux/resources/memory", memory).shell(&format!(
        "mkfifo /go /end 2> /dev/null || /bin/busybox mkfifo /go /end; echo ready; {script}"
    ));
    let container = bundle.container();
    let outcome = container.run_detached();
    if outcome.code == 1 && outcome.stderr.contains("memsw") {
        return skip("want_of_memory", "no swap accounting");
    }
    outcome.succeeded();
    wait_until("the program waits", || outcome.stdout_now().contains("ready"));
    let stream = spawn(container.command(&["events", "--interval", "10ms", &container.id]));
    wait_until("the stream has begun", || !stream.stdout_now().is_empty());
    std::fs::write(container.bundle.rootfs().join("go"), "go\n").expect("write");
    wait_until("the kernel has killed", || stream.stdout_now().contains("oom"));
    container.delete_force().succeeded();
    let outcome = stream.finish();
    let events = lines(outcome.succeeded());
    assert!(events.contains(&json!({"type": "oom", "id": container.id})), "{}", outcome.describe());
}

#[test]
fn want_of_memory_that_ends_the_container_is_told() {
    if !is_pinnace() {
        return;
    }
    let memory = json!({"limit": 16 * MIB, "swap": 16 * MIB});
    let script = "read line < /go; exec tail -c 90000000 /dev/zero";
    let container = Bundle::new()
        .writable()
        .set("/linux/resources/memory", memory)
        .shell(&format!("/bin/busybox mkfifo /go; echo ready; {script}"))
        .container();
    let outcome = container.run_detached();
    if outcome.code == 1 && outcome.stderr.contains("memsw") {
        return skip("want_of_memory", "no swap accounting");
    }
    outcome.succeeded();
    wait_until("the program waits", || outcome.stdout_now().contains("ready"));
    let stream = spawn(container.command(&["events", "--interval", "10ms", &container.id]));
    wait_until("the stream has begun", || !stream.stdout_now().is_empty());
    std::fs::write(container.bundle.rootfs().join("go"), "go\n").expect("write");
    let outcome = stream.finish();
    let events = lines(outcome.succeeded());
    assert!(events.contains(&json!({"type": "oom", "id": container.id})), "{}", outcome.describe());
}

#[test]
fn what_is_wrong_is_said_as_runc_says_it() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.call(&["events", "nobody"]).failed_with(&["container does not exist"]);
    container.run_detached().succeeded();
    let refused = container.call(&["events", "--interval", "0s", &container.id]);
    assert_eq!(refused.failed_with(&[]).message(), "duration interval must be greater than 0");
    container.kill("KILL").succeeded();
    container.wait_stopped();
    for options in [["events", "--stats"], ["events", "--interval=1s"]] {
        let outcome = container.call(&[options[0], options[1], &container.id]);
        let expected = format!("container with id {} is not running", container.id);
        assert_eq!(outcome.failed_with(&[]).message(), expected);
    }
}
