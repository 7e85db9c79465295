//! Every bound of `limits.rs`: the bound itself is accepted, and one more is refused with its rule.

use shared_proto::bootstrap::Header;
use shared_proto::limits::*;
use shared_proto::{
    Attributes, BindOrigin, EncodeError, Message, Nofollow, Phase, PhasedStep, Planned, Propagations,
    Refusal, Step, encode, encoded_bytes,
};

use crate::plan::{self, BUILD_ID};
use crate::sample::{self, SLAVE, header_mut};

/// `message_of` makes a message with so many of something.
fn check(what: &str, bound: usize, refusal: Refusal, message_of: impl Fn(usize) -> Vec<u8>) {
    assert_eq!(plan::check(&message_of(bound)).err(), None, "{what}: {bound}");
    assert_eq!(plan::check(&message_of(bound + 1)).err(), Some(refusal), "{what}: {bound} + 1");
}

fn path_of(bytes: usize) -> String {
    format!("/{}", "p".repeat(bytes - 1))
}

type StepOf = for<'a> fn(&'a str) -> Step<Planned<'a>>;

/// A step for each field that holds a path or a name of the same length.
const PATHS: &[(&str, StepOf)] = &[
    ("fstype", |text| mount(text, "", "/proc")),
    ("mount source", |text| mount("tmpfs", text, "/proc")),
    ("mount target", |text| mount("tmpfs", "", text)),
    ("bind source", |text| bind(text, "/etc/hosts", BindOrigin::Host)),
    ("bind target", |text| bind("/etc/hosts", text, BindOrigin::Parent)),
    ("path with attributes", |text| Step::SetMountAttributes {
        path: text,
        recursive: true,
        attributes: Attributes { set: 1, clear: 0 },
    }),
    ("device", |text| Step::MakeDevice { path: text, mode: 0o020_600, major: 1, minor: 3, uid: 0, gid: 0 }),
    ("symlink", |text| Step::MakeSymlink { path: text, target: "x", exact: false }),
    ("symlink target", |text| Step::MakeSymlink { path: "/x", target: text, exact: true }),
    ("directory", |text| Step::MakeDirectory { path: text }),
    ("unmounted path", |text| Step::Unmount { path: text, mount: 7 }),
    ("read-only path", |text| Step::ReadonlyPath { path: text, recursive: false }),
    ("masked path", |text| Step::MaskPath { path: text, data: "" }),
    ("sysctl name", |text| Step::WriteSysctl { name: text, value: "" }),
    ("working directory", |text| become_user(&[], text.as_bytes())),
];

/// A step for each field that holds another short string.
const OPTIONS: &[(&str, StepOf)] = &[
    ("mount data", |text| Step::MountFilesystem {
        fstype: "overlay",
        source: "",
        target: "/x",
        data: text,
        flags: 0,
        propagations: Propagations::default(),
        copies_up: false,
        is_mapped: false,
    }),
    ("sysctl value", |text| Step::WriteSysctl { name: "kernel/msgmax", value: text }),
    ("score", |text| Step::SetOomScoreAdjust { value: text }),
    ("hostname", |text| Step::SetHostname { name: text }),
    ("time offsets", |text| Step::NewTimeNamespace { offsets: text }),
    ("domainname", |text| Step::SetDomainname { name: text }),
];

fn mount<'a>(fstype: &'a str, source: &'a str, target: &'a str) -> Step<Planned<'a>> {
    let propagations = Propagations::default();
    Step::MountFilesystem {
        fstype,
        source,
        target,
        data: "",
        flags: 0,
        propagations,
        copies_up: false,
        is_mapped: false,
    }
}

fn bind<'a>(source: &'a str, target: &'a str, origin: BindOrigin) -> Step<Planned<'a>> {
    Step::BindMount {
        source,
        target,
        origin,
        recursive: false,
        nofollow: Nofollow::default(),
        attributes: Attributes::default(),
        recursive_attributes: Attributes::default(),
        propagations: Propagations::default(),
    }
}

fn become_user<'a>(groups: &'a [u32], working_directory: &'a [u8]) -> Step<Planned<'a>> {
    Step::BecomeUser {
        uid: 0,
        gid: 0,
        groups,
        working_directory,
        keep_capabilities: false,
        keep_groups: false,
    }
}

#[test]
fn path_bytes() {
    for (what, step_of) in PATHS {
        check(what, PATH_BYTES_MAX, Refusal::Text, |bytes| sample::with_steps(&[step_of(&path_of(bytes))]));
    }
    check("root", PATH_BYTES_MAX, Refusal::Text, |bytes| {
        plan::encode_message(&Message {
            bootstrap: sample::bootstrap(&path_of(bytes)),
            steps: &[],
            arguments: &["/init".to_owned()],
            environment: &[],
        })
    });
}

#[test]
fn option_bytes() {
    for (what, step_of) in OPTIONS {
        check(what, OPTION_BYTES_MAX, Refusal::Text, |bytes| {
            sample::with_steps(&[step_of(&"v".repeat(bytes))])
        });
    }
}

#[test]
fn argument_bytes() {
    check("argument", ARGUMENT_BYTES_MAX, Refusal::Text, |bytes| {
        sample::with_strings(&[], &["a".repeat(bytes)], &[])
    });
    check("environment entry", ARGUMENT_BYTES_MAX, Refusal::Text, |bytes| {
        sample::with_strings(&[], &["a".to_owned()], &["e".repeat(bytes)])
    });
}

#[test]
fn argument_count() {
    check("arguments", ARGUMENT_COUNT_MAX, Refusal::TooManyArguments, |count| {
        sample::with_strings(&[], &vec![String::new(); count], &[])
    });
    check("environment", ARGUMENT_COUNT_MAX, Refusal::TooManyArguments, |count| {
        sample::with_strings(&[], &["/init".to_owned()], &vec![String::new(); count])
    });
    let none = sample::with_strings(&[], &[], &["TERM=xterm".to_owned()]);
    assert_eq!(plan::check(&none).err(), Some(Refusal::NoArguments));
    let held = sample::held(&[], &["TERM=xterm".to_owned()]);
    assert_eq!(plan::check(&held).err(), None);
}

#[test]
fn step_count() {
    check("steps", STEP_COUNT_MAX, Refusal::TooManySteps, |count| {
        sample::with_steps(&vec![Step::MakeDirectory { path: "/x" }; count])
    });
    assert_eq!(plan::check(&sample::with_steps(&[])).err(), None);
}

#[test]
fn early_bind_count() {
    check("early binds", EARLY_BIND_COUNT_MAX, Refusal::TooManyEarlyBinds, |count| {
        sample::with_steps(&vec![bind("/a", "/b", BindOrigin::Host); count])
    });
    let late = vec![bind("/a", "/b", BindOrigin::Parent); EARLY_BIND_COUNT_MAX + 1];
    assert_eq!(plan::check(&sample::with_steps(&late)).err(), None);
    let in_two_phases: Vec<_> = [Phase::Mounts; EARLY_BIND_COUNT_MAX]
        .into_iter()
        .chain([Phase::Views])
        .map(|phase| PhasedStep { phase, step: bind("/a", "/b", BindOrigin::Host) })
        .collect();
    let refusal = plan::check(&sample::with_phased(&in_two_phases)).err();
    assert_eq!(refusal, Some(Refusal::TooManyEarlyBinds));
}

#[test]
fn group_count() {
    check("groups", GROUP_COUNT_MAX, Refusal::Text, |count| {
        let groups: Vec<u32> = (0..count as u32).collect();
        sample::with_steps(&[become_user(&groups, b"/")])
    });
}

/// A message of exactly so many bytes: environment entries of full length and one that fills up.
fn environment_for(message_bytes: usize) -> Vec<String> {
    let empty = sample::with_strings(&[], &["/init".to_owned()], &[]).len();
    let mut rest = message_bytes - empty;
    let mut environment = Vec::new();
    while rest > 0 {
        // Eight bytes for the record and one for the NUL; what follows needs as much.
        let bytes = (rest - 9).min(ARGUMENT_BYTES_MAX - 9);
        environment.push("e".repeat(bytes));
        rest -= bytes + 9;
    }
    environment
}

#[test]
fn message_bytes() {
    let arguments = ["/init".to_owned()];
    let bootstrap = sample::bootstrap("/root");
    let environment = environment_for(MESSAGE_BYTES_MAX);
    let message = Message { bootstrap, steps: &[], arguments: &arguments, environment: &environment };
    let mut bytes = plan::encode_message(&message);
    assert_eq!(bytes.len(), MESSAGE_BYTES_MAX);
    assert_eq!(plan::check(&bytes).err(), None);

    let environment = environment_for(MESSAGE_BYTES_MAX + 1);
    let message = Message { environment: &environment, ..message };
    let mut buffer = vec![0; MESSAGE_BYTES_MAX + 1];
    assert_eq!(encoded_bytes(&message), buffer.len());
    assert_eq!(encode(&message, &BUILD_ID, &mut buffer), Err(EncodeError::TooLarge));

    // The encoder makes none that is larger, so the last string grows by hand.
    let last = bytes.len() - 1;
    bytes[last] = b'e';
    bytes.push(0);
    let all = bytes.len() as u32;
    let header = header_mut(&mut bytes);
    header.message_bytes.set(all);
    header.text_bytes += 1;
    let count = header.environment_count.get() as usize;
    let length_at = size_of::<Header>() + 8 + count * 8 - 4;
    let length = u32::from_le_bytes(bytes[length_at..length_at + 4].try_into().unwrap());
    bytes[length_at..length_at + 4].copy_from_slice(&(length + 1).to_le_bytes());
    assert_eq!(plan::check(&bytes).err(), Some(Refusal::MessageBytes));
}

#[test]
fn buffer_bytes() {
    let arguments = ["/init".to_owned()];
    let message = Message {
        bootstrap: sample::bootstrap("/root"),
        steps: &[],
        arguments: &arguments,
        environment: &[],
    };
    let bytes = encoded_bytes(&message);
    assert_eq!(encode(&message, &BUILD_ID, &mut vec![0; bytes - 1]), Err(EncodeError::TooLarge));
    assert_eq!(encode(&message, &BUILD_ID, &mut vec![0; bytes + 1]), Ok(bytes));
}

#[test]
fn filter_instruction_count() {
    let filter = |bytes: usize| {
        let program = vec![0x06; bytes];
        sample::with_steps(&[Step::InstallSeccomp { flags: 0, program: &program }])
    };
    check("filter", FILTER_INSTRUCTION_COUNT_MAX, Refusal::Text, |count| {
        filter(count * FILTER_INSTRUCTION_BYTES)
    });
    for bytes in [0, 1, 7, 9, FILTER_INSTRUCTION_COUNT_MAX * FILTER_INSTRUCTION_BYTES - 1] {
        assert_eq!(plan::check(&filter(bytes)).err(), Some(Refusal::StepValue), "{bytes}");
    }
}

#[test]
fn umask() {
    check("umask", 0o777, Refusal::StepValue, |umask| {
        sample::with_steps(&[Step::SetUmask { umask: umask as u32 }])
    });
}

#[test]
fn propagations() {
    assert!(Propagations::new([SLAVE; 9]).is_none());
    let eight = sample::list([SLAVE; 8]);
    assert_eq!(eight.iter().count(), 8);
    let step = Step::FinishRoot { readonly: false, propagations: eight };
    assert_eq!(plan::check(&sample::with_steps(&[step])).err(), None);
}
