//! The cache: what is found in it is what was put there, for exactly that profile.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::profile;
use crate::seccomp::{cache, key};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pinnace-seccomp-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    /// The one file in the cache.
    fn file(&self) -> PathBuf {
        let mut files = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let file = files.next().unwrap();
        assert!(files.next().is_none());
        file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const KEY: [u8; 32] = [7; 32];
const PROGRAM: [u8; 16] = [6; 16];

#[test]
fn what_was_stored_is_found() {
    let scratch = Scratch::new("found");
    assert_eq!(cache::load(&scratch.0, &KEY), None);
    cache::store(&scratch.0, &KEY, &PROGRAM);
    assert_eq!(cache::load(&scratch.0, &KEY).as_deref(), Some(&PROGRAM[..]));
    assert_eq!(cache::load(&scratch.0, &[8; 32]), None);
    assert_eq!(fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(scratch.file()).unwrap().permissions().mode() & 0o777, 0o600);
    // Again, over itself.
    cache::store(&scratch.0, &KEY, &PROGRAM);
    assert_eq!(cache::load(&scratch.0, &KEY).as_deref(), Some(&PROGRAM[..]));
}

#[test]
fn what_was_changed_is_not_found() {
    let scratch = Scratch::new("changed");
    cache::store(&scratch.0, &KEY, &PROGRAM);
    let file = scratch.file();
    let content = fs::read(&file).unwrap();
    for index in 0..content.len() {
        let mut damaged = content.clone();
        damaged[index] ^= 1;
        fs::write(&file, damaged).unwrap();
        assert_eq!(cache::load(&scratch.0, &KEY), None, "byte {index}");
    }
    for length in 0..content.len() {
        fs::write(&file, &content[..length]).unwrap();
        assert_eq!(cache::load(&scratch.0, &KEY), None, "{length} bytes");
    }
    fs::write(&file, [&content[..], &[6; 8]].concat()).unwrap();
    assert_eq!(cache::load(&scratch.0, &KEY), None);
    // Another profile's file under this name.
    cache::store(&scratch.0, &[9; 32], &PROGRAM);
    fs::rename(scratch.0.join("09".repeat(32)), &file).unwrap();
    assert_eq!(cache::load(&scratch.0, &KEY), None);
    cache::store(&scratch.0, &KEY, &PROGRAM);
    assert!(cache::load(&scratch.0, &KEY).is_some());
}

#[test]
fn what_others_may_have_written_is_not_found() {
    let scratch = Scratch::new("others");
    cache::store(&scratch.0, &KEY, &PROGRAM);
    let file = scratch.file();
    for (path, good) in [(&file, 0o600), (&scratch.0, 0o700)] {
        for bit in [0o040, 0o020, 0o004, 0o002] {
            fs::set_permissions(path, fs::Permissions::from_mode(good | bit)).unwrap();
            assert_eq!(cache::load(&scratch.0, &KEY), None, "{}", path.display());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(good)).unwrap();
        assert!(cache::load(&scratch.0, &KEY).is_some());
    }
    let elsewhere = scratch.0.join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(cache::load(&scratch.0, &KEY), None);
}

#[test]
fn a_cache_that_cannot_be_is_none() {
    let scratch = Scratch::new("none");
    fs::write(&scratch.0, "a file").unwrap();
    cache::store(&scratch.0, &KEY, &PROGRAM);
    assert_eq!(cache::load(&scratch.0, &KEY), None);
    fs::remove_file(&scratch.0).unwrap();
}

#[test]
fn a_full_cache_begins_anew() {
    let scratch = Scratch::new("full");
    for number in 0..300u16 {
        let mut key = KEY;
        key[..2].copy_from_slice(&number.to_le_bytes());
        cache::store(&scratch.0, &key, &PROGRAM);
        assert!(cache::load(&scratch.0, &key).is_some());
        assert!(fs::read_dir(&scratch.0).unwrap().count() <= 129);
    }
}

#[test]
fn each_field_of_a_profile_makes_another_key() {
    let base = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
             "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["open"], "action": "SCMP_ACT_ALLOW"}
        ]
    });
    let changes: [(&str, Value); 15] = [
        ("/defaultAction", json!("SCMP_ACT_TRACE")),
        ("/defaultErrnoRet", json!(2)),
        ("/defaultErrnoRet", json!(38)),
        ("/architectures", json!([])),
        ("/architectures", json!(["SCMP_ARCH_X32"])),
        ("/syscalls/0/names", json!(["readw", "rite"])),
        ("/syscalls/0/names", json!(["read"])),
        ("/syscalls/0/action", json!("SCMP_ACT_TRACE")),
        ("/syscalls/0/errnoRet", json!(6)),
        ("/syscalls/0/args", json!([])),
        ("/syscalls/0/args/0/index", json!(1)),
        ("/syscalls/0/args/0/value", json!(3)),
        ("/syscalls/0/args/0/valueTwo", json!(3)),
        ("/syscalls/0/args/0/op", json!("SCMP_CMP_EQ")),
        ("/syscalls/1", json!({"names": ["open"], "action": "SCMP_ACT_LOG"})),
    ];
    let mut keys = HashSet::from([key::of(&profile(base.clone()))]);
    for (pointer, value) in changes {
        let mut changed = base.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match changed.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            parent => parent[name] = value,
        }
        assert!(keys.insert(key::of(&profile(changed))), "{pointer}");
    }
    assert!(!keys.insert(key::of(&profile(base))));
}
