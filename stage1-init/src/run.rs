//! The phases of a container start, in order. Everything else in this crate is called from here.

use shared_proto::bootstrap::PhasedStep;
use shared_proto::bootstrap::{HostLeft, NEW_USER, RootChange};
use shared_proto::limits::BUILD_ID_BYTES;
use shared_proto::trace::{STEP, trace_bytes};
use shared_proto::{Call, DescriptorSlot, Failure, Moment, Phase, Report, Step, View, Wire};

use crate::kernel::{At, Descriptor, Fault, Kernel};
use crate::receive::{self, Lasting, Received};
use crate::steps::Context;
use crate::{exec, home, hooks, postponed, root, steps, topology};

/// Receives a bootstrap on `socket`, carries it out, and becomes the container's program, or reports why not and ends.
pub fn run<K: Kernel>(kernel: &mut K, socket: Descriptor, build_id: &[u8; BUILD_ID_BYTES]) -> ! {
    let mut answer_to = socket;
    let failure = match receive::bootstrap(kernel, socket, build_id) {
        Ok((received, mut lasting)) => start(kernel, &mut answer_to, &received, &mut lasting),
        Err(fault) => at(Phase::Setup)(fault),
    };
    // Ignored: if the parent is gone, nobody is left to tell.
    let _ = kernel.send(answer_to, &Report::Failed(failure).encode());
    kernel.exit(1)
}

/// One start. `socket` is the parent's, and after a `Hold` that of the process which calls `start`.
fn start<K: Kernel>(
    kernel: &mut K,
    socket: &mut Descriptor,
    received: &Received,
    lasting: &mut Lasting,
) -> Failure {
    match phases(kernel, socket, received, lasting) {
        Err(failure) => failure,
        Ok(never) => match never {},
    }
}

fn phases<K: Kernel>(
    kernel: &mut K,
    socket: &mut Descriptor,
    received: &Received,
    lasting: &mut Lasting,
) -> Result<core::convert::Infallible, Failure> {
    let view = &received.view;
    let bootstrap = view.bootstrap();

    if let Some(notes) = received.descriptor(DescriptorSlot::Trace) {
        kernel.take_notes(notes, trace_bytes(view.step_count())).at(Call::Map).map_err(at(Phase::Setup))?;
    }
    kernel.note(Moment::Received as u32);
    topology::prepare(kernel).map_err(at(Phase::Setup))?;
    topology::join(kernel, *socket, received).map_err(at(Phase::Setup))?;
    kernel.note(Moment::Joined as u32);
    let mut sources = root::Sources::new();
    let root = root::enter(kernel, *socket, received, &mut sources).map_err(at(Phase::Setup))?;
    kernel.note(Moment::Entered as u32);
    if bootstrap.born_late {
        topology::be_born(kernel, *socket, view).map_err(at(Phase::Setup))?;
        kernel.note(Moment::Born as u32);
    }
    topology::set_session(kernel).map_err(at(Phase::Setup))?;
    let highest = received.highest_descriptor().max(Some(*socket)).max(Some(root.highest_descriptor()));
    let first_temporary = highest.unwrap_or(*socket).next();
    let procfs = received.descriptor(DescriptorSlot::Procfs);
    let mut context = Context::new((kernel, lasting), *socket, root, procfs, first_temporary);

    context.is_live = bootstrap.root_change == RootChange::Enter;
    context.joined_user_namespace =
        bootstrap.joined & NEW_USER != 0 || received.descriptor(DescriptorSlot::UserNamespace).is_some();

    run_phase(&mut context, view, Phase::Mounts)?;
    let trees = topology::enter_cgroups(context.kernel, *socket, view).map_err(at(Phase::Views))?;
    context.take_trees(trees);
    if bootstrap.host_left == HostLeft::BeforeNetwork {
        leave_host(&mut context, view)?;
    }
    topology::enter_network(context.kernel, *socket, view).map_err(at(Phase::Views))?;
    run_phase(&mut context, view, Phase::Views)?;

    if bootstrap.await_hooks {
        context.let_go_of_mounts().map_err(at(Phase::Views))?;
        hooks::wait_for_the_runtimes(context.kernel, *socket).map_err(at(Phase::Views))?;
        context.kernel.note(Moment::HooksRun as u32);
    }
    if bootstrap.host_left == HostLeft::BehindViews {
        leave_host(&mut context, view)?;
    }
    steps::own_null(&mut context).map_err(at(Phase::Identity))?;
    let home =
        bootstrap.home_of.and_then(|uid| home::find(context.kernel, context.root.new, uid, context.lasting));
    run_phase(&mut context, view, Phase::Identity)?;
    let program = exec::find(context.kernel, view, context.lasting).map_err(at(Phase::Identity))?;
    if let Some(listener) = received.descriptor(DescriptorSlot::Listener) {
        // A container that waits for its start holds nothing that only steps needed.
        context.close_for_wait(received, [*socket, listener]).map_err(at(Phase::Identity))?;
    }

    context.kernel.note(Moment::ProgramFound as u32);
    *socket = exec::wait_for_start(context.kernel, *socket, received).map_err(at(Phase::Identity))?;
    context.kernel.note(Moment::StartCame as u32);
    context.answer_to(*socket);
    let program = program.ok_or(exec::nothing_to_start()).map_err(at(Phase::Execute))?;
    exec::close_descriptors(context.kernel, bootstrap.preserved_count).map_err(at(Phase::Lockdown))?;
    hooks::run(&mut context, view).map_err(at(Phase::Lockdown))?;
    context.kernel.note(Moment::Closed as u32);
    run_phase(&mut context, view, Phase::Lockdown)?;
    exec::execute(context.kernel, view, program, home).map_err(at(Phase::Execute))
}

/// Leaves the host's tree later than at once.
fn leave_host<K: Kernel>(context: &mut Context<'_, K>, view: &View<'static>) -> Result<(), Failure> {
    root::leave_host(context.kernel, view, context.root.new).map_err(at(Phase::Views))?;
    context.has_gone_elsewhere();
    context.kernel.note(Moment::HostLeft as u32);
    Ok(())
}

/// Carries out the steps of one phase. What has to wait for the last mount comes behind that.
fn run_phase<K: Kernel>(
    context: &mut Context<'_, K>,
    view: &View<'static>,
    phase: Phase,
) -> Result<(), Failure> {
    let mut has_looked = false;
    let last_mount = if context.postponed_from.is_some() { postponed::last_mount(view) } else { None };
    if phase > Phase::Mounts && last_mount.is_none() {
        run_postponed(context, view)?;
    }
    for (index, phased) in view.steps_in(phase) {
        if postponed::can_wait(&phased) {
            if !has_looked && must_wait(context, view) {
                context.postponed_from = Some(index);
            }
            has_looked = true;
            if context.postponed_from.is_some() {
                continue;
            }
        }
        run_step(context, index, &phased)?;
        if Some(index) == last_mount {
            run_postponed(context, view)?;
        }
    }
    Ok(())
}

/// Whether a symlink has led a mount elsewhere, or will.
fn must_wait<K: Kernel>(context: &mut Context<'_, K>, view: &View<'static>) -> bool {
    context.has_led_elsewhere || postponed::will_be_led(context.kernel, context.root.new, view)
}

/// What has waited, the last mount being there.
#[inline(never)]
fn run_postponed<K: Kernel>(context: &mut Context<'_, K>, view: &View<'static>) -> Result<(), Failure> {
    context.awaits_mounts = false;
    let Some(first) = context.postponed_from.take() else { return Ok(()) };
    context.has_waited = true;
    for (index, phased) in view.steps_in(Phase::Mounts).filter(|(index, _)| *index >= first) {
        if postponed::can_wait(&phased) {
            run_step(context, index, &phased)?;
        }
    }
    Ok(())
}

/// Carries out a step, and names it if it fails.
fn run_step<K: Kernel>(
    context: &mut Context<'_, K>,
    index: u32,
    phased: &PhasedStep<Wire<'static>>,
) -> Result<(), Failure> {
    let phase = phased.phase;
    context.step_index = index;
    context.sweep().map_err(at(phase))?;
    steps::run(context, &phased.step).map_err(|fault| Failure {
        phase,
        step: Some(index),
        call: fault.call,
        errno: fault.errno_number(),
    })?;
    // The filter for system calls may forbid to look at the clock.
    if !matches!(phased.step, Step::InstallSeccomp { .. }) {
        context.kernel.note(STEP | index);
    }
    Ok(())
}

/// A failure of the skeleton itself.
fn at(phase: Phase) -> impl Fn(Fault) -> Failure {
    move |fault| Failure { phase, step: None, call: fault.call, errno: fault.errno_number() }
}
