//! Landlock, from pinnace's own annotation.

use shared_proto::{Phase, Step};

use super::{Draft, Request};
use crate::error::{Error, Result};

/// The ABI that knows every right that is handled: truncation came with Linux 6.2.
const ABI_MIN: u32 = 3;

/// Plans the restriction, which comes after no_new_privs. A kernel that cannot enforce all of it is an error.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) -> Result<()> {
    let Some(landlock) = &request.config.landlock else { return Ok(()) };
    let reason = match request.host.security.landlock_abi {
        ABI_MIN.. => {
            let (handled, paths, rights) = (landlock.handled, &landlock.paths, &landlock.rights);
            draft.push(Phase::Lockdown, Step::RestrictLandlock { handled, paths, rights });
            return Ok(());
        }
        0 => String::from("but the kernel has no landlock, or does not enable it"),
        abi => format!(
            "but the kernel's landlock has ABI {abi}, and {ABI_MIN} (Linux 6.2) is needed to enforce it"
        ),
    };
    Err(Error::new(format!(
        r#"$.annotations["dev.pinnace.landlock"]: landlock is specified in config, {reason}"#
    )))
}
