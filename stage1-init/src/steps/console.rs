//! The program's terminal, and who owns its standard streams.

use shared_proto::{Call, Report};

use super::Context;
use super::masks::null_device;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};

/// statfs(2)'s number for devpts, from linux/magic.h.
const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

/// /dev/ptmx, from Documentation/admin-guide/devices.txt.
const PTMX: (u32, u32) = (5, 2);

const S_IFLNK: u32 = 0o120000;

pub(super) struct Console {
    pub(super) uid: u32,
    /// Columns and rows; both 0: left as they are.
    pub(super) size: (u16, u16),
    /// It becomes /dev/console as well.
    pub(super) bind: bool,
}

/// Opens a new terminal, makes it the controlling one and the standard streams, and sends its master to the parent.
///
/// Errors: EXDEV if what is at /dev/pts is no devpts, or something was mounted over its ptmx; ELOOP if /dev/console is a symlink.
pub(super) fn open<K: Kernel>(context: &mut Context<'_, K>, console: &Console) -> Result<(), Fault> {
    let master = open_master(context)?;
    let kernel = &mut *context.kernel;
    kernel.terminal_unlock(master).at(Call::TerminalUnlock)?;
    // By its path the other end could be something else by now (CVE-2025-52565).
    let terminal = kernel.terminal_peer(master).at(Call::TerminalPeer)?;
    if console.size != (0, 0) {
        kernel.terminal_size(terminal, console.size.0, console.size.1).at(Call::TerminalSize)?;
    }
    if console.uid != 0 {
        kernel.give_to_user(terminal, console.uid).at(Call::ChangeOwner)?;
    }
    if console.bind {
        bind(context, terminal)?;
    }
    context.send_descriptor(Report::Console, master)?;
    let kernel = &mut *context.kernel;
    // Held here, it would keep the terminal from hanging up for as long as a container waits for its start.
    kernel.close(master);
    kernel.terminal_control(terminal).at(Call::TerminalControl)?;
    for stream in Descriptor::STANDARD {
        kernel.duplicate(terminal, stream).at(Call::Duplicate)?;
    }
    kernel.close(terminal);
    Ok(())
}

/// A new master from the container's own devpts. In that filesystem nobody but the kernel makes names, and what is mounted over one is refused:
/// so the device is the right one before it is opened.
fn open_master<K: Kernel>(context: &mut Context<'_, K>) -> Result<Descriptor, Fault> {
    let root = context.root.new;
    let kernel = &mut *context.kernel;
    let directory = kernel.open(root, c"/dev/pts", Open::Directory, Resolve::InRoot).at(Call::Open)?;
    let refused = Fault { call: Call::StatusFilesystem, errno: Errno::XDEV };
    if kernel.filesystem_type(directory).at(Call::StatusFilesystem)? != DEVPTS_SUPER_MAGIC {
        return Err(refused);
    }
    let master = kernel.open(directory, c"ptmx", Open::Terminal, Resolve::Beneath).at(Call::Open)?;
    if !kernel.status(master).at(Call::Status)?.is_character_device(PTMX.0, PTMX.1) {
        return Err(refused);
    }
    Ok(master)
}

/// Mounts the terminal on /dev/console, by descriptors on both sides. An image's symlink there leads nowhere (CVE-2026-88264).
fn bind<K: Kernel>(context: &mut Context<'_, K>, terminal: Descriptor) -> Result<(), Fault> {
    const PATH: &core::ffi::CStr = c"/dev/console";
    let (directory, name) = context.parent(PATH)?;
    let kernel = &mut *context.kernel;
    let mut target = kernel.open(directory, name, Open::PathNoFollow, Resolve::InRoot);
    if target == Err(Errno::NOENT) {
        kernel.make_file(directory, name).at(Call::MakeNode)?;
        target = kernel.open(directory, name, Open::PathNoFollow, Resolve::InRoot);
    }
    let target = target.at(Call::Open)?;
    if kernel.status(target).at(Call::Status)?.kind() == S_IFLNK {
        return Err(Fault { call: Call::Open, errno: Errno::LOOP });
    }
    let tree = kernel.open_tree(terminal, c"", Open::Path, false).at(Call::OpenTree)?;
    kernel.move_mount(tree, target, c"").at(Call::MoveMount)?;
    context.mounted(PATH, false);
    Ok(())
}

/// Standard streams that are the host's /dev/null become the container's: with that the program could change the mode and the owner of the host's.
///
/// A container that has none, or something else in its place, keeps them.
pub(crate) fn own_null<K: Kernel>(context: &mut Context<'_, K>) -> Result<(), Fault> {
    let mut own = None;
    for stream in Descriptor::STANDARD {
        if !context.kernel.status(stream).is_ok_and(|status| status.is_character_device(1, 3)) {
            continue;
        }
        if own.is_none() {
            // Looked at before it is opened.
            let Ok(_) = null_device(context) else { return Ok(()) };
            own = context.kernel.open(context.root.new, c"/dev/null", Open::Terminal, Resolve::InRoot).ok();
        }
        let Some(null) = own else { return Ok(()) };
        context.kernel.duplicate(null, stream).at(Call::Duplicate)?;
    }
    // Closed with all that steps have opened.
    Ok(())
}

/// Gives the standard streams to the user, as runc does: what another user has made cannot be opened by its name in /dev/stdout.
///
/// Of regular files only those that the program may write already, as its owner it could write the script that it was to read, and only with
/// `files`: where the caller stays he may append to a file of his own, and it stays that. Devices stay
/// whose they are, those that all share (CVE-2026-88265 gave away a host's file in the place of /dev/null) and the caller's terminal.
pub(super) fn own_streams<K: Kernel>(kernel: &mut K, uid: u32, files: bool) -> Result<(), Fault> {
    const S_IFIFO: u32 = 0o010000;
    const S_IFREG: u32 = 0o100000;
    const S_IFSOCK: u32 = 0o140000;
    for stream in Descriptor::STANDARD {
        match kernel.status(stream).at(Call::Status)?.kind() {
            S_IFIFO | S_IFSOCK => {}
            S_IFREG if files && kernel.is_writable(stream).at(Call::Status)? => {}
            _ => continue,
        }
        match kernel.give_to_user(stream, uid) {
            // Somebody else's: a user namespace without its owner, a read-only filesystem. The program has it open all the same.
            Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS | Errno::OVERFLOW) => {}
            given => given.at(Call::ChangeOwner)?,
        }
    }
    Ok(())
}
