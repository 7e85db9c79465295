//! Calls that 32-bit x86 has twice: behind a gate, socketcall(2) or ipc(2), whose first argument selects them, and by a number of their own.

use crate::config::{SeccompComparison, SeccompCondition};

const SOCKETCALL: u32 = 102;
const IPC: u32 = 117;

/// libseccomp's number of a call behind a gate, and the call's own. (The others have none.)
const DIRECT: &[(i32, u32)] = &[
    (-101, 359), // socket
    (-102, 361), // bind
    (-103, 362), // connect
    (-104, 363), // listen
    (-106, 367), // getsockname
    (-107, 368), // getpeername
    (-108, 360), // socketpair
    (-111, 369), // sendto
    (-112, 371), // recvfrom
    (-113, 373), // shutdown
    (-114, 366), // setsockopt
    (-115, 365), // getsockopt
    (-116, 370), // sendmsg
    (-117, 372), // recvmsg
    (-118, 364), // accept4
    (-119, 337), // recvmmsg
    (-120, 345), // sendmmsg
    (-202, 393), // semget
    (-203, 394), // semctl
    (-211, 400), // msgsnd
    (-212, 401), // msgrcv
    (-213, 399), // msgget
    (-214, 402), // msgctl
    (-221, 397), // shmat
    (-222, 398), // shmdt
    (-223, 395), // shmget
    (-224, 396), // shmctl
];

/// The own number of a call, if it has one, and its gate with what selects it there.
pub(super) type Split = (Option<u32>, (u32, u32));

/// How a call is reached that libseccomp numbers as one behind a gate; `None` for all others.
pub(super) fn split(number: i32) -> Option<Split> {
    let gate = match number {
        -120..=-101 => (SOCKETCALL, (-number - 100) as u32),
        -224..=-201 => (IPC, (-number - 200) as u32),
        _ => return None,
    };
    let direct = DIRECT.iter().find(|(gated, _)| *gated == number).map(|&(_, direct)| direct);
    Some((direct, gate))
}

/// Conditions of a call as libseccomp puts them to its gate: the selector takes the place of the first argument. (The others then mean the
/// gate's arguments, which are other ones; that is libseccomp's, and every runtime's, reading.)
pub(super) fn behind_gate(conditions: &[SeccompCondition], selector: u32) -> Vec<SeccompCondition> {
    let selected =
        SeccompCondition { argument: 0, comparison: SeccompComparison::Equal(u64::from(selector)) };
    let others = conditions.iter().copied().filter(|condition| condition.argument != 0);
    std::iter::once(selected).chain(others).collect()
}
