//! `hooks`.

use oci_spec::runtime::Hooks as SpecHooks;
use shared_proto::limits::{ARGUMENT_BYTES_MAX, PATH_BYTES_MAX};

use super::super::problems::Problems;
use super::super::{Hook, HookPoint, Hooks};
use super::text_of;

pub(super) fn check(hooks: Option<&SpecHooks>, problems: &mut Problems) -> Hooks {
    let Some(hooks) = hooks else { return Hooks::default() };
    #[allow(deprecated)] // Engines still write prestart, and the spec still has it.
    let prestart = hooks.prestart();
    let mut list = |hooks: &Option<Vec<_>>, point: HookPoint| {
        let hooks = hooks.iter().flatten().enumerate();
        hooks.map(|(index, hook)| one(hook, &format!("$.hooks.{point}[{index}]"), problems)).collect()
    };
    Hooks {
        prestart: list(prestart, HookPoint::Prestart),
        create_runtime: list(hooks.create_runtime(), HookPoint::CreateRuntime),
        create_container: list(hooks.create_container(), HookPoint::CreateContainer),
        start_container: list(hooks.start_container(), HookPoint::StartContainer),
        poststart: list(hooks.poststart(), HookPoint::Poststart),
        poststop: list(hooks.poststop(), HookPoint::Poststop),
    }
}

fn one(hook: &oci_spec::runtime::Hook, path: &str, problems: &mut Problems) -> Hook {
    let program = text_of(hook.path());
    problems.check_text(format_args!("{path}.path"), &program, PATH_BYTES_MAX);
    if !program.starts_with('/') {
        problems.add(format_args!("{path}.path"), format!("{program:?} is not an absolute path"));
    }
    for (field, list) in [("args", hook.args()), ("env", hook.env())] {
        for (index, item) in list.iter().flatten().enumerate() {
            problems.check_text(format_args!("{path}.{field}[{index}]"), item, ARGUMENT_BYTES_MAX);
        }
    }
    for (index, entry) in hook.env().iter().flatten().enumerate() {
        if entry.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            let reason = format!("invalid environment variable: no name before '=' in {entry:?}");
            problems.add(format_args!("{path}.env[{index}]"), reason);
        }
    }
    let timeout = hook.timeout().map(|seconds| {
        u32::try_from(seconds).ok().filter(|seconds| (1..=SECONDS_MAX).contains(seconds)).unwrap_or_else(
            || {
                problems.add(
                    format_args!("{path}.timeout"),
                    format!("{seconds} is not between 1 and {SECONDS_MAX} seconds"),
                );
                1
            },
        )
    });
    let args = match hook.args().as_deref() {
        Some([]) | None => vec![program.clone()],
        Some(args) => args.to_vec(),
    };
    Hook { path: program, args, env: hook.env().clone(), timeout }
}

/// A month: what is longer fits no timer of milliseconds.
const SECONDS_MAX: u32 = 31 * 24 * 60 * 60;
