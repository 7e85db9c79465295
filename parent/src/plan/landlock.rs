//! Landlock, from pinnace's own annotation.

use shared_proto::{Phase, Step};

use super::{Draft, Request, Unsupported};
use crate::config::Config;
use crate::host::SecurityHost;

/// The ABI that knows every right that is handled: truncation came with Linux 6.2.
pub const ABI_MIN: u32 = 3;

/// Plans the restriction, which comes after no_new_privs.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    if let Some(landlock) = &request.config.landlock {
        let (handled, paths, rights) = (landlock.handled, &landlock.paths, &landlock.rights);
        draft.push(Phase::Lockdown, Step::RestrictLandlock { handled, paths, rights });
    }
}

/// A kernel that cannot enforce all of it is an error.
pub(super) fn unsupported(config: &Config, security: SecurityHost) -> Option<Unsupported> {
    config.landlock.as_ref()?;
    let reason = match security.landlock_abi {
        ABI_MIN.. => return None,
        0 => String::from("but the kernel has no landlock, or does not enable it"),
        abi => format!(
            "but the kernel's landlock has ABI {abi}, and {ABI_MIN} (Linux 6.2) is needed to enforce it"
        ),
    };
    let reason = format!("landlock is specified in config, {reason}");
    Some(Unsupported { path: r#"$.annotations["dev.pinnace.landlock"]"#, reason })
}
