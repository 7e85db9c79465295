//! `linux.seccomp`: what is taken, what is filled in, and what is said of each fault.

use super::*;
use crate::config::*;

fn check(fields: Value, expected: &str) {
    let text = fields.to_string();
    assert_eq!(said(|spec| spec["linux"]["seccomp"] = fields), expected, "{text}");
}

fn profile(fields: Value) -> Seccomp {
    let mut spec: Value = serde_json::from_str(&default_spec(false)).unwrap();
    spec["process"]["terminal"] = json!(false);
    spec["linux"]["seccomp"] = fields;
    parse(spec.to_string().as_bytes()).unwrap().seccomp.unwrap()
}

/// A profile with one rule, changed at one pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut fields = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]
    });
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match fields.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    fields
}

#[test]
fn each_fault_is_named_by_its_path() {
    for (pointer, value, expected) in [
        (
            "/defaultAction",
            json!("SCMP_ACT_NOTIFY"),
            "defaultAction: SCMP_ACT_NOTIFY cannot be used as default action",
        ),
        ("/defaultAction", json!("ALLOW"), "defaultAction: string ALLOW is not a valid action for seccomp"),
        (
            "/defaultErrnoRet",
            json!(1),
            "defaultErrnoRet: the action returns no errno: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do",
        ),
        ("/syscalls/0/names", json!([]), "syscalls[0].names: must have at least one name"),
        (
            "/syscalls/0/names",
            json!(["read", ""]),
            "syscalls[0].names[1]: empty string is not a valid syscall",
        ),
        (
            "/syscalls/0/action",
            json!("kill"),
            "syscalls[0].action: string kill is not a valid action for seccomp",
        ),
        (
            "/syscalls/0/errnoRet",
            json!(65536),
            "syscalls[0].errnoRet: is larger than 65535, which is all that a filter can return",
        ),
        ("/syscalls/0/args/0/index", json!(6), "syscalls[0].args[0].index: 6 is not between 0 and 5"),
        (
            "/syscalls/0/args/0/op",
            json!("EQ"),
            "syscalls[0].args[0].op: string EQ is not a valid operator for seccomp",
        ),
        (
            "/syscalls/0/args/0",
            json!([0, 1, 2, "SCMP_CMP_EQ"]),
            "syscalls[0].args[0]: invalid type: array, expected an object",
        ),
        (
            "/architectures",
            json!(["SCMP_ARCH_X86", "SCMP_ARCH_Z80"]),
            "architectures[1]: string SCMP_ARCH_Z80 is not a valid arch for seccomp",
        ),
        (
            "/architectures",
            json!(["SCMP_ARCH_S390X"]),
            "architectures[0]: SCMP_ARCH_S390X: one filter cannot be for both byte orders, and this host's is the other one",
        ),
        (
            "/architectures",
            json!(["SCMP_ARCH_LOONGARCH64"]),
            "architectures[0]: SCMP_ARCH_LOONGARCH64: libseccomp 2.5 does not know this architecture",
        ),
        (
            "/flags",
            json!(["SECCOMP_FILTER_FLAG_NEW"]),
            "flags[0]: seccomp flag \"SECCOMP_FILTER_FLAG_NEW\" not known",
        ),
        ("/listenerMetadata", json!("x"), "listenerMetadata: is set without a listenerPath"),
        (
            "/syscalls/0/action",
            json!("SCMP_ACT_NOTIFY"),
            "listenerPath: is not set, and SCMP_ACT_NOTIFY is used",
        ),
    ] {
        check(with(pointer, value), &format!("config.json: $.linux.seccomp.{expected}"));
    }
    for action in ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP", "ALLOW", "LOG"] {
        let mut fields = with("/syscalls/0/errnoRet", json!(1));
        fields["syscalls"][0]["action"] = json!(format!("SCMP_ACT_{action}"));
        assert!(
            said(|spec| spec["linux"]["seccomp"] = fields).contains("syscalls[0].errnoRet: the action"),
            "{action}"
        );
    }
    for (names, expected) in [
        (json!(["write"]), "syscalls[0].names[0]: SCMP_ACT_NOTIFY cannot be used for the write syscall"),
        (
            json!(["sendmmsg", "sendmsg"]),
            "syscalls: SCMP_ACT_NOTIFY cannot be used for both sendmsg and sendmmsg",
        ),
    ] {
        let mut fields = with("/syscalls/0/names", names);
        fields["syscalls"][0]["action"] = json!("SCMP_ACT_NOTIFY");
        fields["listenerPath"] = json!("/run/agent");
        check(fields, &format!("config.json: $.linux.seccomp.{expected}"));
    }
}

#[test]
fn a_profile_that_allows_no_execve_is_warned_of() {
    let warning = "warned: seccomp: the profile allows no execve, so the program cannot be executed";
    let rule = |action: &str, args: Value| json!([{"names": ["execve"], "action": action, "args": args}]);
    let condition = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]);
    for (default, rules, expected) in [
        ("SCMP_ACT_ERRNO", json!([]), warning),
        ("SCMP_ACT_ERRNO", rule("SCMP_ACT_KILL", json!([])), warning),
        ("SCMP_ACT_ERRNO", rule("SCMP_ACT_ALLOW", condition.clone()), "ok"),
        ("SCMP_ACT_ALLOW", json!([]), "ok"),
        ("SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", json!([])), warning),
        ("SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", condition), "ok"),
    ] {
        check(json!({"defaultAction": default, "syscalls": rules}), expected);
    }
}

#[test]
fn every_name_of_the_spec_is_known() {
    for action in ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG"] {
        profile(with("/defaultAction", json!(format!("SCMP_ACT_{action}"))));
    }
    for op in ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"] {
        profile(with("/syscalls/0/args/0/op", json!(format!("SCMP_CMP_{op}"))));
    }
    for name in
        ["X86", "X86_64", "X32", "ARM", "AARCH64", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC64LE", "RISCV64"]
    {
        profile(with("/architectures", json!([format!("SCMP_ARCH_{name}")])));
    }
    for name in [
        "MIPS",
        "MIPS64",
        "MIPS64N32",
        "PPC",
        "PPC64",
        "S390",
        "S390X",
        "PARISC",
        "PARISC64",
        "LOONGARCH64",
        "M68K",
        "SH",
        "SHEB",
    ] {
        let said = said(|spec| {
            spec["linux"]["seccomp"] = with("/architectures", json!([format!("SCMP_ARCH_{name}")]));
        });
        assert!(said.contains("$.linux.seccomp.architectures[0]: SCMP_ARCH_"), "{said}");
    }
}

#[test]
fn flags_that_are_absent_are_not_flags_that_are_none() {
    let flags = |flags: Value| profile(with("/flags", flags)).flags;
    assert_eq!(flags(Value::Null), SECCOMP_SPEC_ALLOW);
    assert_eq!(flags(json!([])), 0);
    assert_eq!(
        flags(json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"])),
        SECCOMP_LOG | SECCOMP_TSYNC
    );
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])), 0);
}

#[test]
fn a_wrong_word_hides_no_other_fault() {
    let mut fields = with("/syscalls/0/names", json!([]));
    fields["defaultAction"] = json!("ALLOW");
    fields["syscalls"][0]["action"] = json!("ERRNO");
    fields["syscalls"][0]["args"] = json!([{"index": 9, "value": 1, "op": "EQ"}]);
    let said = said(|spec| spec["linux"]["seccomp"] = fields);
    for part in [
        "seccomp.defaultAction: string ALLOW",
        "syscalls[0].action: string ERRNO",
        "syscalls[0].names: must have",
        "syscalls[0].args[0].op: string EQ",
        "syscalls[0].args[0].index: 9 is not",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_listener_is_there_if_it_is_asked() {
    let mut fields = with("/listenerPath", json!("/run/agent"));
    fields["listenerMetadata"] = json!("M");
    assert_eq!(profile(fields.clone()).listener, None);
    fields["syscalls"][0]["action"] = json!("SCMP_ACT_NOTIFY");
    fields["flags"] = json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
    let profile = profile(fields);
    let listener = SeccompListener { path: String::from("/run/agent"), metadata: String::from("M") };
    assert_eq!(profile.listener, Some(listener));
    assert_eq!(
        profile.flags,
        SECCOMP_TSYNC | SECCOMP_TSYNC_ESRCH | SECCOMP_NEW_LISTENER | SECCOMP_WAIT_KILLABLE_RECV
    );
}

#[test]
fn an_argument_that_comes_twice_makes_alternatives() {
    let equal = |argument, value| json!({"index": argument, "value": value, "op": "SCMP_CMP_EQ"});
    let alternatives = |args: Value| profile(with("/syscalls/0/args", args)).rules.remove(0).alternatives;
    assert_eq!(alternatives(json!([])).len(), 0);
    assert_eq!(alternatives(json!([equal(0, 1), equal(1, 1)])).len(), 1);
    let split = alternatives(json!([equal(0, 1), equal(1, 1), equal(0, 2)]));
    assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn errnos_are_eperm_where_none_is_written() {
    assert_eq!(profile(with("/x", json!(1))).rules[0].action, SeccompAction::Errno(1));
    assert_eq!(
        profile(with("/defaultAction", json!("SCMP_ACT_TRACE"))).default_action,
        SeccompAction::Trace(1)
    );
    assert_eq!(profile(with("/syscalls/0/errnoRet", json!(38))).rules[0].action, SeccompAction::Errno(38));
}
