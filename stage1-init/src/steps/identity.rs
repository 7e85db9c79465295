//! Who the program is: keyring, groups, user, and where it stands.

use core::ffi::CStr;

use shared_proto::Call;
use zerocopy::little_endian::U32;

use crate::kernel::{At, Errno, Fault, Kernel};

/// `process.user`.
pub(super) struct User<'a> {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: &'a [U32],
    /// Permitted capabilities survive the change away from root, for the step that sets them.
    pub(super) keep_capabilities: bool,
    /// The caller's stay: they are asked for, or setgroups(2) is denied in the user namespace.
    pub(super) keep_groups: bool,
    /// setgroups(2) may be denied in the user namespace, which was joined: there are no groups to give up then.
    pub(super) may_keep_groups: bool,
}

/// A new anonymous session keyring: the container neither sees the caller's keys nor slows down with the number of named keyrings
/// on the host.
pub(super) fn session_keyring<K: Kernel>(kernel: &mut K) -> Result<(), Fault> {
    match kernel.new_session_keyring() {
        // A kernel without key management has no keys to protect.
        Err(Errno::NOSYS) => Ok(()),
        joined => joined.at(Call::Keyring),
    }
}

/// Enters the working directory and becomes the user.
///
/// Root may be kept out of the directory (NFS), and so may the user (a home of somebody else): whoever may enter does.
pub(super) fn become_user<K: Kernel>(
    kernel: &mut K,
    user: &User<'_>,
    working_directory: &CStr,
) -> Result<(), Fault> {
    let entered = match kernel.change_directory(working_directory) {
        Ok(()) => true,
        Err(Errno::ACCESS | Errno::PERM) => false,
        Err(errno) => return Err(Fault { call: Call::ChangeDirectory, errno }),
    };
    if !user.keep_groups {
        match kernel.set_groups(user.groups) {
            Err(Errno::PERM) if user.may_keep_groups && user.groups.is_empty() => {}
            set => set.at(Call::SetGroups)?,
        }
    }
    if user.keep_capabilities {
        kernel.keep_capabilities().at(Call::KeepCapabilities)?;
    }
    kernel.set_group_id(user.gid).at(Call::SetGroupId)?;
    kernel.set_user_id(user.uid).at(Call::SetUserId)?;
    if !entered {
        kernel.change_directory(working_directory).at(Call::ChangeDirectory)?;
    }
    // CVE-2024-21626: a working directory behind a leaked descriptor lies outside the root. The root itself does not.
    if working_directory != c"/" && !kernel.current_directory_is_reachable().at(Call::CurrentDirectory)? {
        return Err(Fault { call: Call::CurrentDirectory, errno: Errno::NOENT });
    }
    Ok(())
}
