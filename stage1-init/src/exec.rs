//! The program: found while the container is created, executed once it is started.

use core::ffi::CStr;

use shared_proto::{Call, DescriptorSlot, Reply, Report, View};

use crate::kernel::{At, Descriptor, Errno, Fault, Kernel};
use crate::paths::PathBuffer;
use crate::receive::{self, DescriptorList, Lasting, Received};

/// Finds the program as execvp(3) does, with the container's PATH. Its absence so fails the creation.
///
/// `None`: there is none, and nobody will start it.
///
/// Errors: ENOENT if no directory of PATH has it, or the path with a slash does not exist; EISDIR; EACCES.
pub(crate) fn find<K: Kernel>(
    kernel: &mut K,
    view: &View<'static>,
    lasting: &mut Lasting,
) -> Result<Option<&'static CStr>, Fault> {
    let Some(name) = view.arguments().next() else { return Ok(None) };
    if name.is_empty() {
        return Err(Fault { call: Call::FindProgram, errno: Errno::NOENT });
    }
    if name.to_bytes().contains(&b'/') {
        check_program(kernel, name).at(Call::Access)?;
        return Ok(Some(name));
    }
    search(kernel, name, view, lasting).map(Some)
}

#[inline(never)]
fn search<K: Kernel>(
    kernel: &mut K,
    name: &CStr,
    view: &View<'_>,
    lasting: &mut Lasting,
) -> Result<&'static CStr, Fault> {
    let path = view.environment().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
    // Without PATH nowhere, not in the working directory either, which is the image's.
    let directories = path.filter(|path| !path.is_empty()).map(|path| path.split(|&byte| byte == b':'));
    for directory in directories.into_iter().flatten() {
        // An empty directory of PATH is the working directory.
        let directory = if directory.is_empty() { b"." } else { directory };
        let Ok(candidate) = PathBuffer::join(&[directory, b"/", name.to_bytes()]) else { continue };
        let candidate = candidate.as_c_str();
        if check_program(kernel, candidate).is_ok() {
            return lasting.keep(&[candidate.to_bytes()]).at(Call::FindProgram);
        }
    }
    Err(Fault { call: Call::FindProgram, errno: Errno::NOENT })
}

/// A start that the parent should have refused.
pub(crate) const fn nothing_to_start() -> Fault {
    Fault { call: Call::FindProgram, errno: Errno::NOENT }
}

/// A file that this user may execute.
fn check_program<K: Kernel>(kernel: &mut K, path: &CStr) -> Result<(), Errno> {
    if kernel.status_of(path)?.is_directory() {
        return Err(Errno::ISDIR);
    }
    kernel.check_executable(path)
}

/// Says that all is ready if the parent waits for that, and waits for the word to go on: from the parent, or later at the listener.
///
/// Returns the socket on which a failure from now on is to be told.
pub(crate) fn wait_for_start<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    received: &Received,
) -> Result<Descriptor, Fault> {
    if received.view.bootstrap().reports_ready {
        kernel.send(socket, &Report::Ready.encode()).at(Call::Send)?;
    }
    match receive::reply(kernel, socket, &mut DescriptorList::new())? {
        Reply::Start { ignored_signals } => {
            reset_signals(kernel, ignored_signals)?;
            return Ok(socket);
        }
        Reply::Hold { ignored_signals } => reset_signals(kernel, ignored_signals)?,
        Reply::Cgroups { .. } | Reply::Network | Reply::Trees { .. } | Reply::Proceed => {
            return Err(receive::unexpected());
        }
    }
    let listener = received.descriptor(DescriptorSlot::Listener).ok_or(receive::unexpected())?;
    loop {
        let caller = kernel.accept(listener).at(Call::Accept)?;
        match receive::reply(kernel, caller, &mut DescriptorList::new()) {
            Ok(Reply::Start { .. }) => return Ok(caller),
            // A caller that went away or spoke something else started nothing: wait for the next.
            _ => kernel.close(caller),
        }
    }
}

/// What the parent's caller ignored must not be ignored by the container. (Handlers went with the execution of stage1.)
fn reset_signals<K: Kernel>(kernel: &mut K, ignored: u64) -> Result<(), Fault> {
    for signal in (1..=u64::BITS).filter(|signal| ignored & 1 << (signal - 1) != 0) {
        kernel.reset_signal(signal).at(Call::SignalReset)?;
    }
    Ok(())
}

/// Every descriptor above standard error, and above those that the program keeps, will be closed by execve. Before the lockdown, since a
/// filter may forbid close_range(2); what the lockdown opens is close-on-exec by itself.
pub(crate) fn close_descriptors<K: Kernel>(kernel: &mut K, preserved_count: u32) -> Result<(), Fault> {
    kernel.close_on_execute_from(Descriptor::first_above(preserved_count)).at(Call::CloseRange)
}

/// Replaces this program. Nothing else is called here: the container's filter for system calls is in force.
pub(crate) fn execute<K: Kernel>(
    kernel: &mut K,
    view: &View<'_>,
    program: &CStr,
    home: Option<&CStr>,
) -> Result<core::convert::Infallible, Fault> {
    let errno = kernel.execute(program, view.arguments(), view.environment().chain(home));
    Err(Fault { call: Call::Execute, errno })
}
