//! startContainer hooks: what they get, how they are locked down, and what is said when one fails.

use std::string::{String, ToString};
use std::sync::OnceLock;
use std::vec::Vec;

use shared_proto::{HookStatus, Report};

use super::*;
use crate::kernel::Ended;

static TEXTS: OnceLock<[[String; 2]; 3]> = OnceLock::new();

fn with_hook() -> Vec<PhasedStep<Planned<'static>>> {
    let [arguments, environment, state] = TEXTS.get_or_init(|| {
        [["hook", "--now"], ["A=1", "B=2"], ["{\"pid\":", "}"]].map(|texts| texts.map(String::from))
    });
    let hook = Step::RunHook {
        index: 1,
        path: "/bin/hook",
        arguments: arguments.as_slice(),
        environment: environment.as_slice(),
        state: state.as_slice(),
        timeout_ms: 2500,
    };
    let mut steps = steps();
    let lockdown = steps.iter().position(|step| step.phase == Phase::Lockdown).unwrap();
    steps.insert(lockdown, PhasedStep { phase: Phase::Lockdown, step: hook });
    steps
}

fn start(ended: &[Option<Ended>], change: impl FnOnce(&mut Fake)) -> (End, Vec<String>) {
    let mut conversation = conversation();
    conversation[0] = (encoded(bootstrap(), &with_hook()), 0);
    let mut kernel = kernel(conversation);
    kernel.ended.extend(ended.iter().copied());
    change(&mut kernel);
    let end = run(&mut kernel);
    let from =
        kernel.trace.iter().position(|line| line.contains("/bin/hook")).expect("the hook is looked for");
    (end, kernel.trace.split_off(from))
}

fn position(trace: &[String], start: &str) -> Option<usize> {
    trace.iter().position(|line| line.starts_with(start))
}

#[test]
fn a_hook_reads_the_state_and_the_program_follows_it() {
    let _alone = alone();
    let (end, trace) = start(&[Some(Ended::Exited(0))], |_| {});
    assert_eq!(end, End::Executed);
    let calls = ["memory_file {\"pid\":42}", "fork", "wait child 2500", "set_no_new_privileges", "execute"];
    let places: Vec<_> = calls.iter().map(|call| position(&trace, call).ok_or(*call)).collect();
    assert!(places.iter().all(Result::is_ok) && places.is_sorted(), "{places:?} in {trace:#?}");
}

#[test]
fn the_copy_is_locked_down_and_becomes_the_hook() {
    let _alone = alone();
    let (end, trace) = start(&[], |kernel| kernel.is_child = true);
    assert_eq!(end, End::Executed);
    let calls = ["fork", "set_group", "set_standard", "set_no_new_privileges", "execute /bin/hook"];
    let places: Vec<_> = calls.iter().map(|call| position(&trace, call).ok_or(*call)).collect();
    assert!(places.iter().all(Result::is_ok) && places.is_sorted(), "{places:?} in {trace:#?}");
    assert_eq!(trace.iter().filter(|line| line.starts_with("fork")).count(), 1, "a hook runs no hooks");
}

/// Runs a start whose hook does not succeed, and expects that report and no program.
#[track_caller]
fn fails(ended: &[Option<Ended>], change: impl FnOnce(&mut Fake), status: HookStatus) -> Vec<String> {
    let _alone = alone();
    let (end, trace) = start(ended, change);
    assert_eq!(end, End::Exited(1));
    assert_eq!(position(&trace, "execute"), None);
    let report = std::format!("{:?}", Report::HookFailed { index: 1, status });
    assert!(trace.iter().any(|line| line.contains(&report)), "{report} in {trace:#?}");
    trace
}

#[test]
fn how_a_hook_failed_is_reported() {
    fails(&[Some(Ended::Exited(3))], |_| {}, HookStatus::Exited(3));
    fails(&[Some(Ended::Killed(9))], |_| {}, HookStatus::Killed(9));
    let refused = |kernel: &mut Fake| kernel.refused.push(("check_executable /bin/hook", Errno::ACCESS));
    let trace = fails(&[], refused, HookStatus::NotExecuted(13));
    assert_eq!(position(&trace, "fork"), None);
    for (call, errno) in [("execute /bin/hook", Errno::NOEXEC), ("set_standard", Errno::PERM)] {
        let _alone = alone();
        let (end, trace) = start(&[], |kernel| {
            kernel.is_child = true;
            kernel.refused.push((call, errno));
        });
        assert_eq!(end, End::Exited(126), "{call}");
        let status = HookStatus::NotExecuted(errno.raw_os_error() as u16);
        let report = std::format!("{:?}", Report::HookFailed { index: 1, status });
        assert!(trace.iter().any(|line| line.contains(&report)), "{report} in {trace:#?}");
    }
}

#[test]
fn a_hook_that_takes_too_long_is_killed_with_its_group_and_reaped() {
    let trace = fails(&[None, Some(Ended::Killed(9))], |_| {}, HookStatus::TimedOut);
    let kill = position(&trace, "kill_group 7").expect("it is killed");
    assert_eq!(trace[kill + 1].to_string(), "wait child 0");
}

#[test]
fn the_runtimes_hooks_are_waited_for_before_the_root_is_finished() {
    let _alone = alone();
    let mut conversation = conversation();
    conversation[0] = (encoded(Bootstrap { await_hooks: true, ..bootstrap() }, &steps()), 0);
    conversation.insert(3, frame(Reply::Proceed, 0));
    let mut kernel = kernel(conversation);
    assert_eq!(run(&mut kernel), End::Executed);
    let due = kernel.trace.iter().position(|line| line.contains("HooksDue")).expect("it is said");
    assert!(kernel.trace[due + 1].starts_with("receive"), "{}", kernel.trace[due + 1]);
    let hostname = position(&kernel.trace, "set_hostname").expect("identity follows");
    assert!(due < hostname);
}
