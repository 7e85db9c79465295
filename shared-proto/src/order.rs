//! Which kinds of steps must come before which others, and why. Checked when a plan is made and when it is decoded.

use crate::step::Phase;
use crate::step::StepKind::{self, *};

/// `(first, second, reason)`: within a phase no `first` may follow a `second`. (Where two phases share a kind, as the mounts before and after
/// the joins do, the plan sees to it that what comes later does not lie over what came before.)
pub const MUST_COME_BEFORE: &[(StepKind, StepKind, &str)] = &[
    (MountFilesystem, ReadonlyPath, "a mount placed later would hide the read-only path"),
    (BindMount, ReadonlyPath, "a mount placed later would hide the read-only path"),
    (MountFilesystem, MaskPath, "a mount placed later would uncover the masked path"),
    (BindMount, MaskPath, "a mount placed later would uncover the masked path"),
    (ReadonlyPath, MaskPath, "a masked path below a read-only one must stay masked"),
    (MakeDirectory, FinishRoot, "a read-only root takes no new directory"),
    (SetMountAttributes, BecomeUser, "changing a mount needs CAP_SYS_ADMIN"),
    (ReadonlyPath, BecomeUser, "mounting needs CAP_SYS_ADMIN"),
    (MaskPath, BecomeUser, "mounting needs CAP_SYS_ADMIN"),
    (MountFilesystem, OpenConsole, "a mount placed later would hide the terminal"),
    (BindMount, OpenConsole, "a mount placed later would hide the terminal"),
    (OpenConsole, ReadonlyPath, "the mount of /dev/console is made read-only with its tree"),
    (OpenConsole, MaskPath, "a mount placed later would uncover the masked path"),
    (OpenConsole, FinishRoot, "a read-only root takes no new mount point"),
    (OwnStreams, BecomeUser, "giving files away needs CAP_CHOWN"),
    (SetHostname, BecomeUser, "sethostname needs CAP_SYS_ADMIN"),
    (SetDomainname, BecomeUser, "setdomainname needs CAP_SYS_ADMIN"),
    (WriteSysctl, BecomeUser, "kernel parameters belong to root"),
    (SetOomScoreAdjust, BecomeUser, "lowering the score needs CAP_SYS_RESOURCE"),
    (SetRlimit, BecomeUser, "raising a hard limit needs CAP_SYS_RESOURCE"),
    (NewTimeNamespace, BecomeUser, "time offsets need CAP_SYS_TIME"),
    (SetScheduler, BecomeUser, "a real-time policy or a lower nice value needs CAP_SYS_NICE"),
    (SetIoPriority, BecomeUser, "the real-time class needs CAP_SYS_NICE"),
    (SetSelinuxLabel, NewSessionKeyring, "the keyring is labelled when it is made"),
    (SetSelinuxLabel, BecomeUser, "the private procfs through which it is written needs CAP_SYS_ADMIN"),
    (SetAppArmorProfile, BecomeUser, "the private procfs through which it is written needs CAP_SYS_ADMIN"),
    (BecomeUser, SetCapabilities, "setresuid would clear the sets"),
    (SetNoNewPrivileges, RestrictLandlock, "landlock_restrict_self needs it, or CAP_SYS_ADMIN"),
    (SetCapabilities, SetNoNewPrivileges, "the program's last privileges are set before they are sealed"),
    (
        SetNoNewPrivileges,
        InstallSeccomp,
        "the filter may forbid prctl, and without CAP_SYS_ADMIN it needs the promise",
    ),
    (FinishRoot, BecomeUser, "changing a mount needs CAP_SYS_ADMIN"),
    (
        RunHook,
        SetNoNewPrivileges,
        "a hook is locked down by itself: what came before could not load its filter again",
    ),
    (RunHook, RestrictLandlock, "a hook is locked down by itself"),
    (RunHook, InstallSeccomp, "a hook is locked down by itself"),
    (
        RestrictLandlock,
        SetRlimit,
        "a limit in the last phase is one of open files, and Landlock's rules take descriptors",
    ),
    (SetRlimit, InstallSeccomp, "the filter may forbid prlimit"),
    (RestrictLandlock, InstallSeccomp, "the filter may forbid Landlock's calls"),
    (BecomeUser, InstallSeccomp, "the filter may forbid what becoming the user takes"),
    (SetCapabilities, InstallSeccomp, "the filter may forbid capset"),
];

/// The first rule that a sequence of steps breaks: `(index of the late step, reason)`.
pub fn first_violation(steps: impl Iterator<Item = (Phase, StepKind)>) -> Option<(usize, &'static str)> {
    let mut seen = 0u64;
    let mut current = None;
    for (index, (phase, kind)) in steps.enumerate() {
        if current != Some(phase) {
            (seen, current) = (0, Some(phase));
        }
        if seen & TOO_LATE_BEHIND[kind as usize] != 0 {
            let is_broken = |rule: &&(StepKind, StepKind, &str)| rule.0 == kind && seen & bit(rule.1) != 0;
            let reason = MUST_COME_BEFORE.iter().find(is_broken).map_or("", |rule| rule.2);
            return Some((index, reason));
        }
        seen |= bit(kind);
    }
    None
}

/// By kind: those that it must not follow.
static TOO_LATE_BEHIND: [u64; KIND_END] = {
    let mut masks = [0; KIND_END];
    let mut index = 0;
    while index < MUST_COME_BEFORE.len() {
        let (first, second, _) = MUST_COME_BEFORE[index];
        masks[first as usize] |= bit(second);
        index += 1;
    }
    masks
};

/// Kinds are numbered below this.
const KIND_END: usize = StepKind::ALL[StepKind::ALL.len() - 1] as usize + 1;

const fn bit(kind: StepKind) -> u64 {
    1 << (kind as u16)
}

// `bit` holds as long as kinds are numbered below 64; the design stops at some forty.
const _: () = assert!(KIND_END <= u64::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_step_is_named_with_its_reason() {
        let check =
            |kinds: [StepKind; 2]| first_violation(kinds.into_iter().map(|kind| (Phase::Identity, kind)));
        assert_eq!(check([SetHostname, BecomeUser]), None);
        let (index, reason) = check([BecomeUser, SetHostname]).unwrap();
        assert_eq!(index, 1);
        assert!(reason.contains("CAP_SYS_ADMIN"));
    }
}
