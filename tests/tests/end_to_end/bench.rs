//! `bench`: pinnace and other runtimes, measured side by side.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pinnace_tests::{
    Bundle, Container, Outcome, Signal, Value, cgroup_hierarchies, find_program, json, program, run_within,
    skip, spawn, tests_pinnace, wait_until,
};

/// `bench` below a state root of its own, with all that it makes for itself in the container's directory.
fn bench_command(container: &Container, words: &[&str]) -> Command {
    let mut command = container.command(&["bench"]);
    command.args(words).env("TMPDIR", container.bundle.scratch());
    fs::create_dir_all(container.state_root()).expect("mkdir");
    command
}

#[track_caller]
fn bench(container: &Container, words: &[&str]) -> Outcome {
    run_within(Duration::from_secs(120), bench_command(container, words))
}

/// No container, no cgroup, no directory of the benchmark's: its names are made of its process id, so all that were running are looked for.
#[track_caller]
fn assert_nothing_is_left(container: &Container, pid: Option<u32>) {
    let is_empty = |path: &Path| fs::read_dir(path).expect("a directory").flatten().next().is_none();
    assert!(is_empty(container.state_root()), "state");
    let scratch = fs::read_dir(container.bundle.scratch()).expect("scratch");
    let names: Vec<_> =
        scratch.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.starts_with("pinnace-bench")), "{names:?}");
    let Some(pid) = pid else { return };
    let id = format!("bench-{pid}-");
    for point in cgroup_hierarchies().values() {
        let output =
            Command::new("find").arg(point).args(["-name", &format!("*{id}*")]).output().expect("find");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "cgroups");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    assert!(!mounts.contains(&format!("pinnace-bench-{pid}")), "{mounts}");
}

fn read_json(report: &Path) -> Value {
    let text = fs::read_to_string(report.join("results.json")).expect("results.json");
    serde_json::from_str(&text).expect("JSON")
}

/// The wall times of one series.
fn times(results: &Value, runtime: &str, command: &str) -> Vec<f64> {
    let is_it = |series: &&Value| series["runtime"] == runtime && series["command"] == command;
    let series = results["series"].as_array().expect("series").iter().find(is_it);
    let times = series.map(|series| series["wallMs"].as_array().expect("times").clone()).unwrap_or_default();
    times.iter().map(|time| time.as_f64().expect("a time")).collect()
}

#[test]
fn everything_is_measured_reported_and_taken_away() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let report = container.bundle.scratch().join("report");
    // Another pinnace is a runtime that is always there.
    let other = format!("other={}", program().display());
    let words = [
        "--against",
        &other,
        "--rounds",
        "2",
        "--warm-up",
        "1",
        "--idle",
        "0,2",
        "--parallel",
        "1,3",
        "--burst",
        "3",
        "--watch",
        "1",
        "--report",
        report.to_str().expect("UTF-8"),
    ];
    let running = spawn(bench_command(&container, &words));
    let pid = running.pid().as_raw_nonzero().get().cast_unsigned();
    let outcome = running.finish_within(Duration::from_secs(120));
    let table = outcome.succeeded();
    assert_eq!(outcome.stderr, "");
    for part in
        ["run, back to back", "exec, beside 2 idle containers", "run, 3 at once", "a burst of 3", "ours/its"]
    {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert!(!table.contains("NOT COMPARED"), "{table}");

    let results = read_json(&report);
    for runtime in ["pinnace", "other"] {
        for command in
            ["run", "exec", "create + start + delete", "create", "start", "state", "list", "kill", "delete"]
        {
            let times = times(&results, runtime, command);
            assert!(
                times.len() == 2 && times.iter().all(|time| (0.05..5000.0).contains(time)),
                "{command}: {times:?}"
            );
        }
    }
    // 0 and 2 idle: four commands each; and what was measured before.
    assert_eq!(results["series"].as_array().expect("series").len(), 2 * (9 + 8));
    assert_eq!(results["settings"]["rounds"], 2);
    assert_eq!(results["notCompared"], json!([]));
    let csv = fs::read_to_string(report.join("results.csv")).expect("results.csv");
    assert_eq!(csv.lines().count(), 1 + 2 * (9 + 8) + 2 * 2 + 2, "{csv}");
    let page = fs::read_to_string(report.join("index.html")).expect("index.html");
    assert!(page.ends_with("</html>\n") && page.contains("One start of pinnace, step by step"));
    assert!(page.len() < 300_000 && !page.contains("<script"));
    assert!(fs::read_to_string(report.join("summary.svg")).expect("summary.svg").starts_with("<svg "));
    assert_nothing_is_left(&container, Some(pid));
}

#[test]
fn who_fails_and_who_is_not_there_is_told_and_the_others_are_measured() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let report = container.bundle.scratch().join("report");
    // Fails in the third round, and leaves nothing of the two before it.
    let late = container.bundle.scratch().join("late");
    let count = container.bundle.scratch().join("count");
    let script = format!(
        "#!/bin/sh\n[ $3 = run ] && [ \"$4\" != --detach ] && echo >>{0}\n[ ! -e {0} ] || [ $(wc -l <{0}) -lt 3 ] || {{ echo it is late >&2; exit 7; }}\nexec {1} \"$@\"\n",
        count.display(),
        program().display()
    );
    fs::write(&late, script).expect("write");
    fs::set_permissions(&late, fs::Permissions::from_mode(0o755)).expect("chmod");
    let against = format!(
        "false={},true={},gone,late={}",
        find_program("false").expect("false").display(),
        find_program("true").expect("true").display(),
        late.display()
    );
    let report_path = report.to_str().expect("UTF-8");
    let words = [
        "--against",
        &against,
        "--rounds",
        "3",
        "--warm-up",
        "0",
        "--workload",
        "run",
        "--report",
        report_path,
    ];
    let outcome = bench(&container, &words);
    let table = outcome.succeeded();
    for line in [
        "NOT COMPARED: gone: not found in PATH",
        "NOT COMPARED: false: it runs no container: exit code 1: it said nothing",
        "NOT COMPARED: true: it runs no container: the pid file: No such file or directory (os error 2)",
        "NOT COMPARED: late: run, back to back: exit code 7: it is late",
    ] {
        assert!(table.lines().any(|other| other == line), "{line} in {table}");
    }
    let results = read_json(&report);
    assert_eq!(times(&results, "pinnace", "run").len(), 3);
    assert_eq!(times(&results, "late", "run").len(), 0);
    assert_eq!(results["notCompared"].as_array().expect("a list").len(), 4);
    let page = fs::read_to_string(report.join("index.html")).expect("index.html");
    assert!(page.contains("Not compared: <b>gone</b>, everything: not found in PATH"));
    assert_nothing_is_left(&container, None);
}

#[test]
fn a_bundle_of_ones_own_is_measured_with_its_own_program() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/sh", "-c", "exit 0"]).container();
    let bundle = container.bundle.path().to_str().expect("UTF-8").to_owned();
    let words = ["--against", "none", "--rounds", "1", "--warm-up", "0", "--bundle", &bundle];
    let outcome = bench(&container, &words);
    assert!(outcome.succeeded().contains("create + start + delete"), "{}", outcome.describe());

    // It measures what ends well, and says so of what does not.
    let failing = Bundle::new().args(&["/bin/sh", "-c", "echo not today >&2; exit 3"]).container();
    let bundle = failing.bundle.path().to_str().expect("UTF-8").to_owned();
    let words = ["--against", "none", "--rounds", "1", "--workload", "run", "--bundle", &bundle];
    let outcome = bench(&failing, &words);
    let table = outcome.exited(1);
    assert!(table.contains("NOT COMPARED: pinnace: run, back to back: exit code 3: not today"), "{table}");
    assert_nothing_is_left(&failing, None);
}

/// What a shell without job control starts with `&` ignores SIGINT, and so does all that comes of it.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("SigIgn");
    u64::from_str_radix(mask.trim(), 16).expect("a mask") & 1 << (signal.as_raw() - 1) != 0
}

#[test]
fn whoever_ends_it_gets_everything_taken_away() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        if is_ignored(signal) {
            skip("whoever runs the tests ignores a signal");
            continue;
        }
        let words = ["--against", "none", "--rounds", "100000", "--workload", "none", "--idle", "20"];
        let running = spawn(bench_command(&container, &words));
        let pid = running.pid().as_raw_nonzero().get().cast_unsigned();
        let state = container.state_root().join(format!("pinnace-bench-{pid}/pinnace"));
        let idle = || fs::read_dir(&state).map_or(0, |entries| entries.count());
        wait_until("there are idle containers", || idle() > 15);
        running.signal(signal);
        let outcome = running.finish();
        assert_eq!(outcome.code, code, "{}", outcome.describe());
        assert!(outcome.message().contains("before all was measured"), "{}", outcome.describe());
        assert_eq!(outcome.stdout, "");
        assert_nothing_is_left(&container, Some(pid));
    }
}

#[test]
fn what_a_killed_bench_has_left_the_next_one_tells_and_leaves_alone() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let words = ["--against", "none", "--rounds", "100000", "--workload", "none", "--idle", "4"];
    let running = spawn(bench_command(&container, &words));
    let pid = running.pid().as_raw_nonzero().get().cast_unsigned();
    let state = container.state_root().join(format!("pinnace-bench-{pid}/pinnace"));
    wait_until("there are idle containers", || fs::read_dir(&state).map_or(0, |entries| entries.count()) > 3);
    running.signal(Signal::KILL);
    running.finish();
    let trace = container.bundle.scratch().join("trace");
    let mut again = bench_command(&container, &["--against", "none", "--rounds", "1", "--workload", "run"]);
    // Nor does what its caller has said to it reach what it measures.
    again.env("PINNACE_TRACE", &trace);
    let outcome = run_within(Duration::from_secs(120), again);
    outcome.succeeded();
    let left = state.parent().expect("a parent");
    let told = format!("{}: a bench that was killed has left this", left.display());
    assert!(outcome.stderr.contains(&told), "{}", outcome.describe());
    let ids: Vec<_> =
        fs::read_dir(&state).expect("its states").flatten().map(|entry| entry.file_name()).collect();
    for id in ids.iter().filter(|id| !id.as_encoded_bytes().starts_with(b"@")) {
        let mut delete = std::process::Command::new(program());
        delete.arg("--root").arg(&state).args(["delete", "--force"]).arg(id);
        run_within(Duration::from_secs(60), delete).succeeded();
    }
    for directory in [left, &container.bundle.scratch().join(format!("pinnace-bench-{pid}"))] {
        fs::remove_dir_all(directory).expect("what was left");
    }
    assert_nothing_is_left(&container, Some(pid));
    assert_eq!(fs::read_to_string(&trace).unwrap_or_default(), "");
}

#[test]
fn a_command_that_hangs_keeps_nobody_who_ends_it() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let (hanging, mark) =
        (container.bundle.scratch().join("hanging"), container.bundle.scratch().join("mark"));
    // It tells its version, runs a container, and hangs when it is measured.
    let script = format!(
        "#!/bin/sh\n[ $3 = run ] && [ \"$4\" != --detach ] && {{ : >{}; sleep 1000; }}\nexec {} \"$@\"\n",
        mark.display(),
        program().display()
    );
    fs::write(&hanging, script).expect("write");
    fs::set_permissions(&hanging, fs::Permissions::from_mode(0o755)).expect("chmod");
    let against = format!("hanging={}", hanging.display());
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        if is_ignored(signal) {
            skip("whoever runs the tests ignores a signal");
            continue;
        }
        let _ = fs::remove_file(&mark);
        let words = ["--against", &against, "--rounds", "1", "--warm-up", "0", "--workload", "run"];
        let running = spawn(bench_command(&container, &words));
        let pid = running.pid().as_raw_nonzero().get().cast_unsigned();
        wait_until("it hangs", || mark.exists());
        let begun = Instant::now();
        running.signal(signal);
        let outcome = running.finish();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(outcome.code, code, "{}", outcome.describe());
        assert!(outcome.message().contains("before all was measured"), "{}", outcome.describe());
        assert_nothing_is_left(&container, Some(pid));
    }
}

#[test]
fn requests_that_make_no_sense_are_refused_before_anything_is_done() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let refused = |words: &[&str], parts: &[&str]| {
        bench(&container, words).failed_with(parts);
        assert_nothing_is_left(&container, None);
    };
    refused(&["--rounds", "0"], &["--rounds 0: "]);
    refused(&["--parallel", "1,many"], &["--parallel many: "]);
    refused(&["--workload", "none"], &["nothing is to be measured"]);
    for option in ["--parallel", "--burst", "--idle", "--rounds"] {
        refused(&[option, "4000000000"], &[&format!("{option} 4000000000: ")]);
    }
    refused(&["--workload", "fly"], &["--workload fly: ", "lifecycle"]);
    refused(&["--against", "pinnace"], &["--against pinnace: it takes part by itself"]);
    refused(&["--against", "a b=/bin/true"], &["a b=/bin/true"]);
    refused(&["--bundle", "/no/such/bundle"], &["/no/such/bundle/config.json", "no such file"]);
    refused(&["--report", "/proc/no/such"], &["mkdir /proc/no/such"]);
}
