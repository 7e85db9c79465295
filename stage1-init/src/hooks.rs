//! Hooks on the container's side: the moment of the runtime's hooks, and the container's own before its program.

use core::ffi::CStr;

use shared_proto::{Call, HookStatus, Phase, Reply, Report, Step, StepKind, TextList, View, Wire};

use crate::kernel::{At, Descriptor, Ended, Errno, Fault, Kernel};
use crate::receive::{self, DescriptorList};
use crate::steps::{self, Context};

/// Lets the parent run its hooks, which see this process's namespaces and both trees, and waits until it has.
pub(crate) fn wait_for_the_runtimes<K: Kernel>(kernel: &mut K, socket: Descriptor) -> Result<(), Fault> {
    kernel.send(socket, &Report::HooksDue.encode()).at(Call::Send)?;
    match receive::reply(kernel, socket, &mut DescriptorList::new())? {
        Reply::Proceed => Ok(()),
        _ => Err(receive::unexpected()),
    }
}

/// Runs the startContainer hooks in their order: each in a copy of this process that is locked down as the program will be, and then
/// executes the hook instead.
///
/// A hook that does not succeed is reported with what it has said, and ends this process.
pub(crate) fn run<K: Kernel>(context: &mut Context<'_, K>, view: &View<'static>) -> Result<(), Fault> {
    for step in view.steps_of([StepKind::RunHook]) {
        if let Step::RunHook { index, path, arguments, environment, state, timeout_ms } = step {
            let hook = Hook { index, path, arguments, environment, state };
            let (status, output) = run_one(context, view, &hook, timeout_ms)?;
            if status != HookStatus::Exited(0) {
                report(context, index, status, output).at(Call::Send)?;
                context.kernel.exit(1);
            }
        }
    }
    Ok(())
}

fn report<K: Kernel>(
    context: &mut Context<'_, K>,
    index: u32,
    status: HookStatus,
    output: Descriptor,
) -> Result<(), Errno> {
    let report = Report::HookFailed { index, status }.encode();
    context.kernel.send_descriptor(context.answer(), &report, output)
}

struct Hook<'a> {
    index: u32,
    path: &'a CStr,
    arguments: TextList<'a>,
    environment: TextList<'a>,
    state: TextList<'a>,
}

/// How the hook ended, and a file with what it has said.
fn run_one<K: Kernel>(
    context: &mut Context<'_, K>,
    view: &View<'static>,
    hook: &Hook<'_>,
    timeout_ms: u32,
) -> Result<(HookStatus, Descriptor), Fault> {
    let kernel = &mut *context.kernel;
    let output = kernel.memory_file(&[]).at(Call::MemoryFile)?;
    // What is plain to see is said while no filter forbids that.
    if let Err(errno) = kernel.check_executable(hook.path) {
        return Ok((HookStatus::NotExecuted(errno.raw_os_error() as u16), output));
    }
    let input = state_file(kernel, hook)?;
    let Some(child) = kernel.fork().at(Call::Fork)? else {
        let errno = become_hook(context, view, hook, input, output);
        let status = HookStatus::NotExecuted(errno.raw_os_error() as u16);
        // Ignored: under the filter nothing may be left but the end, of which the parent is told then; else it has heard enough. The number is
        // what shells say of a program that cannot be executed.
        let _ = report(context, hook.index, status, output);
        context.kernel.exit(126)
    };
    let ended = kernel.wait(child, timeout_ms).at(Call::Wait)?;
    let status = match ended {
        Some(Ended::Exited(code)) => HookStatus::Exited(code),
        Some(Ended::Killed(signal)) => HookStatus::Killed(signal),
        None => {
            kernel.kill_group(child);
            kernel.wait(child, 0).at(Call::Wait)?;
            HookStatus::TimedOut
        }
    };
    Ok((status, output))
}

/// The state with this process's id in it.
fn state_file<K: Kernel>(kernel: &mut K, hook: &Hook<'_>) -> Result<Descriptor, Fault> {
    let pid = kernel.process_id();
    let mut digits = [0u8; 10];
    let mut start = digits.len();
    let mut rest = pid.unsigned_abs();
    loop {
        start -= 1;
        if let Some(digit) = digits.get_mut(start) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let mut texts = hook.state.iter();
    let (before, behind) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    let parts = [before.to_bytes(), digits.get(start..).unwrap_or_default(), behind.to_bytes()];
    kernel.memory_file(&parts).at(Call::MemoryFile)
}

/// Locks the copy down and executes the hook. Returns why that failed.
fn become_hook<K: Kernel>(
    context: &mut Context<'_, K>,
    view: &View<'static>,
    hook: &Hook<'_>,
    input: Descriptor,
    output: Descriptor,
) -> Errno {
    let prepared = context
        .kernel
        .set_group()
        .and_then(|()| context.kernel.set_standard(input, output))
        .and_then(|()| lock_down(context, view));
    match prepared {
        Ok(()) => {
            context.kernel.execute(hook.path, Counted::new(hook.arguments), Counted::new(hook.environment))
        }
        Err(errno) => errno,
    }
}

/// The strings of a list, whose number is known.
struct Counted<'a, I: Iterator<Item = &'a CStr>> {
    strings: I,
    left: usize,
}

impl<'a> Counted<'a, core::iter::Empty<&'a CStr>> {
    fn new(list: TextList<'a>) -> Counted<'a, impl Iterator<Item = &'a CStr>> {
        Counted { strings: list.iter(), left: list.iter().count() }
    }
}

impl<'a, I: Iterator<Item = &'a CStr>> Iterator for Counted<'a, I> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        self.left = self.left.saturating_sub(1);
        self.strings.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, I: Iterator<Item = &'a CStr>> ExactSizeIterator for Counted<'a, I> {}

fn lock_down<K: Kernel>(context: &mut Context<'_, K>, view: &View<'static>) -> Result<(), Errno> {
    context.is_hook = true;
    for (_, phased) in view.steps_in(Phase::Lockdown) {
        if !matches!(phased.step, Step::<Wire<'_>>::RunHook { .. }) {
            steps::run(context, &phased.step).map_err(|fault| fault.errno)?;
        }
    }
    Ok(())
}
