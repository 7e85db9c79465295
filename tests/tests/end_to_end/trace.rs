//! `--trace` and `trace`: where the time of a start goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pinnace_tests::{Bundle, Value, json, run_within_limit, tests_pinnace};

/// The events of a trace, whose list is never closed.
fn events(text: &str) -> Vec<Value> {
    let open = text.trim_end().trim_end_matches(',');
    serde_json::from_str(&format!("{open}]")).expect("events")
}

fn named<'e>(events: &'e [Value], name: &str) -> &'e Value {
    events.iter().find(|event| event["name"] == name).unwrap_or_else(|| panic!("no {name} in {events:?}"))
}

#[test]
fn a_run_notes_what_it_does_on_both_sides_and_in_order() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/true"]).container();
    let (file, picture) =
        (container.bundle.scratch().join("trace.json"), container.bundle.scratch().join("trace.svg"));
    let plan =
        container.call(&["plan", "--format", "json", "--bundle", container.bundle.path().to_str().unwrap()]);
    let plan: Value = serde_json::from_str(plan.succeeded()).expect("a plan");
    let mut run = container.create_command("run", &["--trace", file.to_str().unwrap()]);
    run.env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    run_within_limit(run).succeeded();

    let all = events(&fs::read_to_string(&file).expect("a trace"));
    let whole = named(&all, &format!("run {}", container.id));
    assert_eq!(whole["args"]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let time = |event: &Value, name: &str| event[name].as_f64().expect("a time");
    let (begin, end) = (time(whole, "ts"), time(whole, "ts") + time(whole, "dur"));
    let stage1: Vec<&Value> = all.iter().filter(|event| event["ph"] == "X" && event["tid"] == 2).collect();
    assert!(stage1.windows(2).all(|pair| time(pair[0], "ts") <= time(pair[1], "ts")), "{stage1:?}");
    for event in all.iter().filter(|event| event["ph"] == "X") {
        assert!(time(event, "ts") >= begin && time(event, "ts") + time(event, "dur") <= end + 1.0, "{event}");
    }
    // Each step of the plan has its number and its name.
    let steps: Vec<&Value> = stage1.iter().filter(|event| event["args"]["step"].is_u64()).copied().collect();
    assert_eq!(steps.len(), plan["steps"].as_array().expect("steps").len());
    for (index, event) in steps.iter().enumerate() {
        let planned = &plan["steps"][index];
        assert_eq!(event["args"]["step"], json!(index));
        let kind = planned["kind"].as_str().expect("a kind");
        assert!(event["name"].as_str().expect("a name").starts_with(kind), "{event} {planned}");
    }
    for name in ["read and check config.json", "make and limit the cgroups", "remove cgroups and state"] {
        assert_eq!(named(&all, name)["tid"], 1);
    }
    // On v2 alone nobody waits for cgroups.
    assert_eq!(named(&all, "wait for the network namespace")["cat"], "wait");

    let shown = container.call(&["trace", file.to_str().unwrap(), "--svg", picture.to_str().unwrap()]);
    let table = shown.succeeded();
    assert!(table.starts_with(&format!("run {}: ", container.id)), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with('*')).count(), 5, "{table}");
    let picture = fs::read_to_string(picture).expect("a picture");
    assert!(picture.starts_with("<svg ") && picture.contains("mount proc on /proc"), "{picture}");
    let itself = container.call(&["trace", file.to_str().unwrap(), "--svg", file.to_str().unwrap()]);
    assert!(
        itself.exited(1).is_empty() && itself.stderr.contains("it is the trace itself"),
        "{}",
        itself.stderr
    );
    assert!(!events(&fs::read_to_string(&file).expect("a trace")).is_empty());
}

#[test]
fn engines_have_every_command_traced_by_a_variable() {
    if !tests_pinnace() {
        return;
    }
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let container = Bundle::new()
        .args(&["/bin/sleep", "100"])
        .set("/annotations", json!({"dev.pinnace.traceparent": header}))
        .container();
    let file = container.bundle.scratch().join("trace.json");
    let id = container.id.as_str();
    let traced = |mut command: std::process::Command| {
        // What is no header hides none.
        command.env("PINNACE_TRACE", &file).env("TRACEPARENT", "ff-0");
        run_within_limit(command)
    };
    traced(container.command(&["features"])).succeeded();
    assert!(!file.exists(), "nothing is noted of it");
    traced(container.create_command("create", &[])).succeeded();
    for words in
        [vec!["start", id], vec!["exec", id, "/bin/true"], vec!["state", id], vec!["delete", "-f", id]]
    {
        traced(container.command(&words)).succeeded();
    }
    let all = events(&fs::read_to_string(&file).expect("a trace"));
    let commands: Vec<&str> = all
        .iter()
        .filter(|event| event["cat"] == "command")
        .filter_map(|event| event["name"].as_str()?.split(' ').next())
        .collect();
    assert_eq!(commands, ["create", "start", "exec", "delete"]);
    // All are parts of what the container's annotation names.
    for event in all.iter().filter(|event| event["cat"] == "command") {
        assert_eq!(event["args"]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736", "{event}");
    }
    let (file, picture) = (file.to_str().unwrap(), container.bundle.scratch().join("trace.svg"));
    let shown = |words: &[&str]| {
        let words = [&["trace", file, "--svg", picture.to_str().unwrap()], words].concat();
        let table = container.call(&words).succeeded().to_owned();
        (table, fs::read_to_string(&picture).expect("a picture"))
    };
    let (table, picture) = shown(&[]);
    assert_eq!(table.matches(&format!(" {id}: ")).count(), 4, "{table}");
    // The slowest, which has waited for most.
    assert!(!picture.contains("pinnace start"), "{picture}");
    for (words, command) in [
        (&["--command", "create"][..], "create"),
        (&["--index", "-1"], "delete"),
        (&["--index", "2"], "start"),
    ] {
        let (table, picture) = shown(words);
        assert!(
            table.starts_with(&format!("{command} {id}: ")) && table.matches(" ms").count() == 1,
            "{table}"
        );
        assert!(picture.contains(&format!("pinnace {command} {id}: ")), "{picture}");
    }
    for wrong in [&["--command", "crea"][..], &["--index", "0"], &["--index", "5"], &["--index", "x"]] {
        container.call(&[&["trace", file], wrong].concat()).failed_with(&[wrong[1]]);
    }
    named(&all, "be born in the pid namespace");
}

/// A filter may forbid to look at the clock: its step ends with the execution.
#[test]
fn a_trace_does_not_change_what_a_filter_has_to_allow() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new()
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["clock_gettime"], "action": "SCMP_ACT_KILL_PROCESS"}]}),
        )
        .args(&["/bin/true"])
        .container();
    let file = container.bundle.scratch().join("trace.json");
    run_within_limit(container.create_command("run", &["--trace", file.to_str().unwrap()])).succeeded();
    let all = events(&fs::read_to_string(&file).expect("a trace"));
    let last = all.iter().rev().find(|event| event["tid"] == 2).expect("stage1");
    let name = last["name"].as_str().expect("a name");
    assert!(name.starts_with("install-seccomp") && name.ends_with("execute /bin/true"), "{name}");
}

#[test]
fn what_is_no_trace_is_said() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let file = container.bundle.scratch().join("other");
    fs::write(&file, "{}").expect("write");
    container.call(&["trace", file.to_str().unwrap()]).failed_with(&["other", "it is no trace"]);
    container.call(&["trace", "/no/such/trace"]).failed_with(&["/no/such/trace", "no such file"]);
    // What may have no end is not read.
    let fifo = container.bundle.scratch().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    for endless in ["/dev/zero", fifo.to_str().unwrap(), "/tmp"] {
        container.call(&["trace", endless]).failed_with(&[endless, "not a regular file"]);
    }
    let large = container.bundle.scratch().join("large");
    fs::File::create(&large).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    container.call(&["trace", large.to_str().unwrap()]).failed_with(&["large", "more than 256 MiB"]);
    container.call(&["trace"]).failed_with(&["requires exactly 1 argument"]);
    let run = container.create_command("run", &["--trace", "/no/such/directory/trace"]);
    run_within_limit(run).failed_with(&["trace /no/such/directory/trace: open"]);
    // What holds something else is not appended to.
    let run = container.create_command("run", &["--trace", file.to_str().unwrap()]);
    run_within_limit(run).failed_with(&["trace ", "other: it holds something else"]);
    assert_eq!(fs::read_to_string(&file).expect("a file"), "{}");
}

/// The file names what containers do, and whoever may read it may lock it.
#[test]
fn a_trace_is_its_owners_alone_and_no_start_waits_for_its_lock() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/true"]).container();
    let file = container.bundle.scratch().join("trace.json");
    let run = || run_within_limit(container.create_command("run", &["--trace", file.to_str().unwrap()]));
    run().succeeded();
    assert_eq!(fs::metadata(&file).expect("a trace").permissions().mode() & 0o777, 0o600);
    let reader = fs::File::open(&file).expect("a trace");
    reader.lock().expect("a lock");
    run().succeeded();
    let all = events(&fs::read_to_string(&file).expect("a trace"));
    assert_eq!(all.iter().filter(|event| event["cat"] == "command").count(), 2);
}

/// A filesystem of four pages, in a mount namespace of its own.
#[test]
fn a_trace_that_does_not_fit_leaves_the_file_as_it_was() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/true"]).container();
    let small = container.bundle.scratch().join("small");
    fs::create_dir(&small).expect("mkdir");
    let file = small.join("trace.json");
    let run = container.create_command("run", &["--trace", file.to_str().unwrap()]);
    let script = "mount -t tmpfs -o size=16k tmpfs \"$SMALL\" && for round in 1 2 3 4; do \"$0\" \"$@\" || exit; done; \
                  cat \"$SMALL/trace.json\"";
    let mut shell = std::process::Command::new("unshare");
    shell.args(["-m", "sh", "-c", script]).arg(run.get_program()).args(run.get_args()).env("SMALL", &small);
    let said = run_within_limit(shell);
    let all = events(said.succeeded());
    assert!(said.stderr.contains("write trace: no space left on device"), "{}", said.stderr);
    let commands = all.iter().filter(|event| event["cat"] == "command").count();
    assert!((1..4).contains(&commands) && said.stdout.ends_with(",\n"), "{}", said.stdout);
}

#[test]
fn a_failed_start_says_so_in_its_trace() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/nothing"]).container();
    let file = container.bundle.scratch().join("trace.json");
    assert_ne!(
        run_within_limit(container.create_command("run", &["--trace", file.to_str().unwrap()])).code,
        0
    );
    let shown = container.call(&["trace", file.to_str().unwrap()]);
    let table = shown.succeeded();
    assert!(
        table.lines().next().is_some_and(|line| line.contains(", failed: ") && line.contains("/bin/nothing")),
        "{table}"
    );
}
