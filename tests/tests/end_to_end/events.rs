//! What a container uses, and what happens to it: one line of JSON each, in runc's words.

use std::process::Command;
use std::time::{Duration, Instant};

use pinnace_tests::{
    Bundle, Container, Value, cgroup_hierarchies, is_pinnace, json, run_within_limit, runc, skip, spawn,
    tests_pinnace, wait_until,
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
        skip("no v1 hierarchy `memory` on this machine");
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
    // The kernel brings these figures up to date only now and then; none at all is left out, as by runc.
    let usage = stats["memory"]["usage"]["usage"].as_u64().unwrap_or(0);
    assert!(usage < 64 * MIB, "{stats}");
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
    if !tests_pinnace() {
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
        return skip("no swap accounting");
    }
    outcome.succeeded();
    wait_until("the program waits", || outcome.stdout_now().contains("ready"));
    let stream = spawn(container.command(&["events", "--interval", "10ms", &container.id]));
    wait_until("the stream has begun", || !stream.stdout_now().is_empty());
    std::fs::write(container.bundle.rootfs().join("go"), "go\n").expect("write");
    wait_until("the kernel has killed", || stream.stdout_now().contains("\"type\":\"oom\""));
    container.delete_force().succeeded();
    let outcome = stream.finish();
    let events = lines(outcome.succeeded());
    let oom = json!({"type": "oom", "id": container.id, "data": {"reason": "own_limit"}});
    let is_it = |event: &Value| if is_pinnace() { *event == oom } else { event["type"] == "oom" };
    assert!(events.iter().any(is_it), "{}", outcome.describe());
}

#[test]
fn want_of_memory_that_ends_the_container_is_told() {
    if !tests_pinnace() {
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
        return skip("no swap accounting");
    }
    outcome.succeeded();
    wait_until("the program waits", || outcome.stdout_now().contains("ready"));
    let stream = spawn(container.command(&["events", "--interval", "10ms", &container.id]));
    wait_until("the stream has begun", || !stream.stdout_now().is_empty());
    std::fs::write(container.bundle.rootfs().join("go"), "go\n").expect("write");
    let outcome = stream.finish();
    let events = lines(outcome.succeeded());
    let oom = json!({"type": "oom", "id": container.id, "data": {"reason": "own_limit"}});
    let is_it = |event: &Value| if is_pinnace() { *event == oom } else { event["type"] == "oom" };
    assert!(events.iter().any(is_it), "{}", outcome.describe());
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

/// The container has a limit of its own, which it does not reach.
#[test]
fn want_of_memory_above_the_container_is_told_as_such() {
    if !tests_pinnace() {
        return;
    }
    let hierarchies = cgroup_hierarchies();
    let (mount, limits) = match (hierarchies.get("memory"), hierarchies.get("")) {
        (Some(mount), _) => (mount, ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]),
        (None, Some(mount)) => (mount, ["memory.max", "memory.swap.max"]),
        (None, None) => return skip("nobody limits memory here"),
    };
    let is_v2 = limits[0] == "memory.max";
    if !is_v2 && !mount.join(limits[1]).exists() {
        return skip("no swap accounting");
    }
    let script = "/bin/busybox dd if=/dev/zero of=/dev/null bs=50M count=1 2>/dev/null; echo ready; \
                  read line < /go; head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; read line < /end";
    let bundle = Bundle::new()
        .writable()
        .set("/linux/resources/memory", json!({"limit": 1024 * MIB, "swap": 1024 * MIB}))
        .shell(&format!("/bin/busybox mkfifo /go /end; {script}"));
    let name = format!("{}-top", bundle.id());
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}/inner"))).container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("the program waits", || outcome.stdout_now().contains("ready"));
    // More than that was used once, when it was allowed.
    let lower = ["update", "--memory", "32m", "--memory-swap", "32m"];
    container.call(&[&lower[..], &[&container.id]].concat()).succeeded();
    let top = mount.join(&name);
    let limit = (16 * MIB).to_string();
    std::fs::write(top.join(limits[0]), &limit).expect("limit");
    std::fs::write(top.join(limits[1]), if is_v2 { "0" } else { &limit }).expect("limit");
    let stream = spawn(container.command(&["events", "--interval", "10ms", &container.id]));
    wait_until("the stream has begun", || !stream.stdout_now().is_empty());
    std::fs::write(container.bundle.rootfs().join("go"), "go\n").expect("write");
    wait_until("the kernel has killed", || stream.stdout_now().contains("\"type\":\"oom\""));
    let asked = container.call(&["events", "--stats", &container.id]);
    container.delete_force().succeeded();
    for hierarchy in hierarchies.values() {
        let _ = std::fs::remove_dir(hierarchy.join(&name));
    }
    let outcome = stream.finish();
    let expected = json!({"type": "oom", "id": container.id, "data": {"reason": "ancestor_limit"}});
    assert!(lines(outcome.succeeded()).contains(&expected), "{}", outcome.describe());
    // The shell may be killed as well as what it has started, and nobody counts for a container that has ended.
    if asked.code == 0 {
        let killed = &lines(&asked.stdout)[0]["data"]["memory"]["events"]["oom_kill"];
        assert!(killed.as_u64().is_some_and(|killed| killed >= 1), "{killed}");
    } else {
        assert!(asked.message().contains("is not running"), "{}", asked.describe());
    }
}

/// Both ask the kernel about the same cgroups: runc by the state of a container of its own, in which ours takes that one's place.
#[test]
fn stats_are_those_of_runc_field_by_field() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new()
        .set("/linux/resources/memory", json!({"limit": 64 * MIB, "swap": 96 * MIB}))
        .set("/linux/resources/pids", json!({"limit": 17}))
        .set("/linux/resources/cpu", json!({"quota": 20000, "period": 100_000}))
        .shell("i=0; while [ $i -lt 9000 ]; do i=$((i + 1)); done; head -c 3000000 /dev/zero > /dev/shm/x; echo ready; sleep 1000")
        .container();
    let Some(runc) = runc(container.bundle.scratch()) else {
        return skip("runc is neither in PATH nor beside the workspace");
    };
    // The document has pressure since 1.3.
    let version = run_within_limit({
        let mut command = Command::new(&runc);
        command.arg("--version");
        command
    });
    if ["runc version 1.0.", "runc version 1.1.", "runc version 1.2."]
        .iter()
        .any(|old| version.stdout.starts_with(old))
    {
        return skip(&format!("this runc is too old: {}", version.stdout.lines().next().unwrap_or_default()));
    }
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("the program has worked", || outcome.stdout_now().contains("ready"));
    container.call(&["pause", &container.id]).succeeded();

    let other = Bundle::new().args(&["/bin/sleep", "1000"]);
    let root = other.scratch().join("runc-state");
    let id = other.id().to_owned();
    let runc = |arguments: &[&str]| {
        let mut command = Command::new(&runc);
        command.arg("--root").arg(&root).args(arguments);
        run_within_limit(command)
    };
    runc(&["run", "--detach", "--bundle", other.path().to_str().expect("UTF-8"), &id]).succeeded();
    let path = root.join(&id).join("state.json");
    let original = std::fs::read_to_string(&path).expect("read runc's state");
    let mut state: Value = serde_json::from_str(&original).expect("JSON");
    let pid = container.pid();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("read stat");
    let start = stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(19).expect("a start time");
    state["init_process_pid"] = json!(pid);
    state["init_process_start"] = json!(start.parse::<u64>().expect("a number"));
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("read cgroup");
    for (controller, directory) in state["cgroup_paths"].as_object_mut().expect("paths") {
        let is_it = |list: &str| {
            list.split(',')
                .any(|name| name.trim_start_matches("name=") == controller.trim_start_matches("name="))
        };
        let line =
            cgroup.lines().find(|line| line.split(':').nth(1).is_some_and(is_it)).expect("the hierarchy");
        let mut fields = line.splitn(3, ':').skip(1);
        let list = fields.next().expect("controllers");
        let mount = &cgroup_hierarchies()[list];
        *directory = json!(mount.join(fields.next().expect("a path").trim_start_matches('/')));
    }
    std::fs::write(&path, state.to_string()).expect("write runc's state");

    let ask = || {
        let ours = stats(&container);
        let theirs = runc(&["events", "--stats", &id]);
        (ours, serde_json::from_str::<Value>(theirs.succeeded()).expect("JSON")["data"].clone())
    };
    let differences = || {
        let (ours, theirs) = ask();
        let mut found = Vec::new();
        compare("", &ours, &theirs, &mut found);
        found
    };
    // The kernel's own work goes on, and its figures come late: at some moment nothing moves.
    let last = (0..20).map(|_| differences()).find(Vec::is_empty).map_or_else(differences, |_| Vec::new());
    std::fs::write(&path, original).expect("write runc's state");
    runc(&["delete", "--force", &id]).succeeded();
    assert!(last.is_empty(), "{last:#?}");
}

/// What is in one document and not, or not so, in the other.
fn compare(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(left), Value::Object(right)) => {
            let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let path = format!("{path}.{name}");
                // Averages over time; and what runc's document does not have.
                if name.starts_with("avg") && left.contains_key(name) && right.contains_key(name)
                    || path == ".memory.events"
                {
                    continue;
                }
                let missing = Value::String(String::from("missing"));
                let [left, right] = [left, right].map(|side| side.get(name).unwrap_or(&missing));
                compare(&path, left, right, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{index}]"), left, right, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: {ours} here, {theirs} of runc")),
    }
}
