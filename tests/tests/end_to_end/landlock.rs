//! The annotation `dev.pinnace.landlock`: what of its tree the program may use.

use pinnace_tests::{Bundle, Value, json, run_within_limit, skip, tests_pinnace};

/// A bundle with this annotation, a writable root, and something to read and to write everywhere.
fn with(landlock: &Value) -> Bundle {
    Bundle::new()
        .writable()
        .file("/data/file", "content\n", 0o666)
        .file("/open/file", "content\n", 0o666)
        .file("/secret/file", "content\n", 0o666)
        .set("/annotations", json!({"dev.pinnace.landlock": landlock.to_string()}))
}

/// Whether the runtime and the kernel can do it; says aloud where not.
fn is_possible() -> bool {
    if !tests_pinnace() {
        return false;
    }
    let outcome = with(&json!({"execute": ["/bin"]})).run();
    if outcome.stderr.contains("but the kernel") {
        outcome.failed_with(&[r#"$.annotations["dev.pinnace.landlock"]: landlock is specified in config"#]);
        skip("the kernel has no landlock, or an old one");
        return false;
    }
    outcome.succeeded();
    true
}

#[test]
fn only_what_is_listed_can_be_used() {
    if !is_possible() {
        return;
    }
    let script = "\
        cat /data/file && cat /open/file && echo new > /open/new && mkdir /open/d && rm /open/new && echo may;\
        echo x > /data/file || echo no writing; true > /data/file || echo no emptying;\
        rm /data/file || echo no removing; mv /data/file /open/moved || echo no moving;\
        cat /secret/file || echo no reading; ls /secret || echo no listing;\
        cp /bin/busybox /open/busybox && /open/busybox true || echo no executing";
    let outcome = with(&json!({"execute": ["/bin"], "readOnly": ["/data"], "readWrite": ["/open"]}))
        .shell(&format!("{{ {script}; }} 2> /open/errors"))
        .run();
    let expected = [
        "content",
        "content",
        "may",
        "no writing",
        "no emptying",
        "no removing",
        "no moving",
        "no reading",
        "no listing",
        "no executing",
    ];
    assert_eq!(outcome.succeeded().lines().collect::<Vec<_>>(), expected, "{}", outcome.describe());
}

#[test]
fn rights_of_a_path_in_several_lists_add_up_and_files_can_be_named() {
    if !is_possible() {
        return;
    }
    let lists = json!({"execute": ["/bin", "/open"], "readWrite": ["/open", "/dev/null"], "readOnly": ["/data/file"]});
    let outcome = with(&lists)
        .shell("cp /bin/busybox /open/busybox && /open/busybox cat /data/file > /dev/null && echo may")
        .run();
    assert_eq!(outcome.succeeded(), "may");
}

#[test]
fn restriction_holds_for_a_held_start_and_for_other_users() {
    if !is_possible() {
        return;
    }
    let container = with(&json!({"execute": ["/bin"], "readWrite": ["/open"]}))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .shell("cat /open/file; cat /data/file 2>&1 || echo no")
        .container();
    let created = container.create();
    created.succeeded();
    container.start().succeeded();
    container.wait_stopped();
    assert!(created.stdout_now().starts_with("content\n"), "{}", created.stdout_now());
    assert!(created.stdout_now().ends_with("no\n"), "{}", created.stdout_now());
}

#[test]
fn symlink_of_the_image_does_not_lead_a_rule_out_of_it() {
    if !is_possible() {
        return;
    }
    let bundle = with(&json!({"execute": ["/bin"], "readOnly": ["/way"]}));
    std::os::unix::fs::symlink("/../../data", bundle.rootfs().join("way")).expect("symlink");
    assert_eq!(bundle.args(&["/bin/cat", "/way/file"]).run().succeeded(), "content");
}

#[test]
fn path_that_is_missing_is_an_error_that_leaves_nothing() {
    if !is_possible() {
        return;
    }
    let container = with(&json!({"execute": ["/bin"], "readOnly": ["/no/such/path"]})).container();
    let before = container.snapshot();
    container.run().failed_with(&["restrict-landlock", "/no/such/path", "no such file or directory"]);
    // The state root stays.
    let mut after = container.snapshot();
    after.files.retain(|path| !path.ends_with("/state"));
    after.assert_same_as(&before);
}

#[test]
fn what_is_wrong_with_the_annotation_is_named_by_its_path() {
    if !tests_pinnace() {
        return;
    }
    let path = r#"$.annotations["dev.pinnace.landlock"]"#;
    let refused = |lists: Value, inner: &str| {
        with(&lists).run().failed_with(&[&format!("{path}{inner}")]);
    };
    refused(json!({"execute": ["/bin"], "readonly": ["/etc"]}), ".readonly: is not known");
    refused(json!({"execute": ["bin"]}), ".execute[0]: \"bin\" is not an absolute path");
    refused(json!({"execute": "/bin"}), ".execute: is not an array");
    refused(json!({"readWrite": ["/"]}), ".execute: no path");
    refused(json!([]), ": is not a JSON object");
    let text = with(&json!({})).set("/annotations", json!({"dev.pinnace.landlock": "{"})).run();
    text.failed_with(&[path, "is not valid JSON"]);
    let twice = r#"{"execute": ["/bin"], "execute": ["/"]}"#;
    let twice = with(&json!({})).set("/annotations", json!({"dev.pinnace.landlock": twice})).run();
    twice.failed_with(&[&format!("{path}.execute: comes twice")]);
    let unprivileged =
        with(&json!({"execute": ["/bin"]})).set("/process/noNewPrivileges", json!(false)).run();
    unprivileged.failed_with(&[path, "needs process.noNewPrivileges"]);
}

#[test]
fn plan_shows_the_rules() {
    if !is_possible() {
        return;
    }
    let container = with(&json!({"execute": ["/bin"], "readWrite": ["/open"]})).container();
    let bundle = container.bundle.path();
    let outcome = run_within_limit(container.command(&["plan", "--bundle", bundle.to_str().expect("UTF-8")]));
    assert!(outcome.succeeded().contains("restrict-landlock     /bin r-x, /open rw-"), "{}", outcome.stdout);
}

/// The paths of the list mean the container's root, wherever the program stands.
#[test]
fn an_exec_is_restricted_the_same_way_in_any_working_directory() {
    if !is_possible() {
        return;
    }
    let container = with(&json!({"execute": ["/bin"], "readOnly": ["/data"]}))
        .file("/open/data/file", "secret\n", 0o644)
        .set("/process/cwd", json!("/open"))
        .args(&["/bin/sleep", "1000"])
        .container();
    container.run_detached().succeeded();
    let script = "cat /data/file; cat /open/data/file 2>/dev/null || echo no";
    for options in [&[][..], &["--cwd", "/open"], &["--cwd", "/"]] {
        let words = [&["exec"], options, &[container.id.as_str(), "/bin/sh", "-c", script]].concat();
        assert_eq!(container.call(&words).succeeded(), "content\nno", "{options:?}");
    }
}
