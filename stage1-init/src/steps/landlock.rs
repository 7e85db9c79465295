//! Landlock: what of the tree the program may use, whoever it is.

use shared_proto::{Call, TextList};
use zerocopy::little_endian::U32;

use super::Context;
use crate::kernel::{At, Descriptor, Fault, Kernel, Open, Resolve};

/// What can be allowed for anything but a directory, from linux/landlock.h: execute, write and read a file, truncate, ioctl on a device.
const FILE_RIGHTS: u32 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15;

/// Denies what is `handled`, but at and below each path its rights. It holds for the program and all that it makes.
///
/// Source: landlock(7), Linux 5.13. Errors: a path that does not exist, since a rule that is not there would deny more than was meant.
pub(super) fn restrict<K: Kernel>(
    context: &mut Context<'_, K>,
    handled: u32,
    paths: TextList<'_>,
    rights: &[U32],
) -> Result<(), Fault> {
    let kernel = &mut *context.kernel;
    // By its name: where a container is entered, the root that steps know is the working directory, and that is the program's own by now.
    let host = Descriptor::CURRENT_DIRECTORY;
    let root = kernel.open(host, c"/", Open::Directory, Resolve::Host).at(Call::LandlockPath)?;
    let ruleset = kernel.landlock_ruleset(u64::from(handled)).at(Call::LandlockRuleset)?;
    for (path, rights) in paths.iter().zip(rights) {
        let place = kernel.open(root, path, Open::Path, Resolve::InRoot).at(Call::LandlockPath)?;
        let is_directory = kernel.status(place).at(Call::Status)?.is_directory();
        let rights = if is_directory { rights.get() } else { rights.get() & FILE_RIGHTS };
        kernel.landlock_allow(ruleset, place, u64::from(rights)).at(Call::LandlockRule)?;
        // The program's own limit of open files holds by now, and the list may be long.
        kernel.close(place);
    }
    kernel.landlock_restrict(ruleset).at(Call::LandlockRestrict)
}
