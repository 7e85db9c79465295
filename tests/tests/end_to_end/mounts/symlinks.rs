//! Symlinks at either end of a bind: copied (`copy-symlink`), mounted (`src-nofollow`), mounted upon (`dest-nofollow`).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use pinnace_tests::{Bundle, Container, json, run_within_limit, skip, tests_pinnace};

use crate::mountinfo;
use crate::user_namespace::{by_user, mapped, of_user};

/// A bundle beside whose config.json lie `file`, with "of the host" in it, and `link`, a symlink.
fn bundle(link: &str) -> Bundle {
    let bundle = Bundle::new();
    fs::write(bundle.path().join("file"), "of the host\n").expect("write");
    symlink(link, bundle.path().join("link")).expect("symlink");
    bundle
}

/// In the bundle's root file system.
fn with_link(bundle: Bundle, text: &str, path: &str) -> Bundle {
    symlink(text, bundle.rootfs().join(path)).expect("symlink");
    bundle
}

#[track_caller]
fn validate(container: &Container) -> String {
    let path = container.bundle.path();
    let outcome = container.call(&["validate", "--bundle", path.to_str().expect("UTF-8")]);
    outcome.stdout + &outcome.stderr
}

#[test]
fn a_source_that_is_a_symlink_is_copied() {
    if !tests_pinnace() {
        return;
    }
    let container = bundle("../no where/at all")
        .mount("/made/on/the/way", "bind", "link", &["bind", "copy-symlink", "ro"])
        .shell("readlink /made/on/the/way; grep -c ' /made' /proc/self/mountinfo")
        .container();
    let path = container.bundle.path();
    let plan = container.call(&["plan", "--bundle", path.to_str().expect("UTF-8")]);
    assert!(plan.succeeded().contains("/made/on/the/way -> ../no where/at all"), "{}", plan.describe());
    assert_eq!(validate(&container), "");
    assert_eq!(container.run().exited(1), "../no where/at all\n0");
    // It is there already the next time.
    assert_eq!(container.run().exited(1), "../no where/at all\n0");
}

#[test]
fn a_copied_symlink_takes_the_place_of_nothing_else() {
    if !tests_pinnace() {
        return;
    }
    let copied = || bundle("text").mount("/etc/there", "bind", "link", &["rbind", "copy-symlink"]);
    let file = copied().file("etc/there", "of the image", 0o644);
    let directory = copied().file("etc/there/in", "", 0o644);
    let longer = copied().file("etc/x", "", 0o644);
    let longer = with_link(longer, "texts", "etc/there");
    for bundle in [file, directory, longer] {
        let container = bundle.container();
        container.run().failed_with(&["$.mounts[7]", "make-symlink /etc/there -> text", "file exists"]);
        let left = container.snapshot();
        assert!(left.mounts.is_empty() && left.cgroups.is_empty() && left.processes.is_empty(), "{left}");
    }
}

#[test]
fn a_symlink_is_copied_inside_the_root() {
    if !tests_pinnace() {
        return;
    }
    let elsewhere = Bundle::new();
    let outside = elsewhere.scratch().join("outside");
    fs::create_dir(&outside).expect("mkdir");
    for out in [outside.to_str().expect("UTF-8"), "../../../../../../../../../../tmp"] {
        let container = with_link(bundle("text"), out, "out")
            .mount("/out/copied-here", "bind", "link", &["bind", "copy-symlink"])
            .shell("readlink /out/copied-here")
            .container();
        assert_eq!(container.run().succeeded(), "text");
        assert!(fs::symlink_metadata(outside.join("copied-here")).is_err());
        assert!(fs::symlink_metadata("/tmp/copied-here").is_err());
    }
}

#[test]
fn a_source_that_is_no_symlink_is_bound_and_not_copied() {
    if !tests_pinnace() {
        return;
    }
    let outcome = bundle("text")
        .mount("/etc/bound", "bind", "file", &["bind", "copy-symlink", "ro"])
        .mount("/etc/missing", "bind", "file", &["bind", "copy-symlink", "src-nofollow", "dest-nofollow"])
        .shell("cat /etc/bound /etc/missing; grep -cE ' /etc/(bound|missing) ' /proc/self/mountinfo")
        .run();
    assert_eq!(outcome.succeeded(), "of the host\nof the host\n2");
    let missing = bundle("text").mount("/x", "bind", "nowhere", &["bind", "copy-symlink"]).container();
    missing.run().failed_with(&["$.mounts[7]", "nowhere", "no such file or directory"]);
    assert!(
        validate(&missing).contains("$.mounts[7].source: nowhere: no such file"),
        "{}",
        validate(&missing)
    );
}

#[test]
fn a_copied_symlink_of_a_joined_mount_namespace_is_refused() {
    if !tests_pinnace() {
        return;
    }
    let other = Bundle::new().args(&["/bin/sleep", "100"]).container();
    other.run_detached().succeeded();
    let container = bundle("text")
        .join_namespace("mount", &format!("/proc/{}/ns/mnt", other.pid()))
        .mount("/x", "bind", "link", &["bind", "copy-symlink"])
        .container();
    container.run().failed_with(&["$.mounts[7].options: copy-symlink: ", "namespace"]);
    assert!(validate(&container).contains("$.mounts[7].options: copy-symlink: "));
}

#[test]
fn a_source_that_is_not_followed_is_itself_mounted() {
    if !tests_pinnace() {
        return;
    }
    let script = "cat /etc/place; readlink /etc/place; grep ' /etc/place ' /proc/self/mountinfo";
    let nofollow = |bundle: Bundle| {
        let bundle = bundle.file("inside", "of the container\n", 0o644).shell(script);
        bundle.mount("/etc/place", "bind", "link", &["bind", "src-nofollow", "ro", "nosuid"])
    };
    for bundle in [nofollow(bundle("/inside")), mapped(nofollow(bundle("/inside")))] {
        let container = bundle.container();
        assert_eq!(validate(&container), "");
        let outcome = container.run();
        assert!(outcome.succeeded().starts_with("of the container\n/inside\n"), "{}", outcome.describe());
        mountinfo::find(&outcome, "/etc/place").expect(&["ro", "nosuid"]);
        // What was missing has become an empty file.
        let made = fs::symlink_metadata(container.bundle.rootfs().join("etc/place")).expect("made");
        assert!(made.is_file() && made.len() == 0);
    }
    // Without the word the file behind it is mounted, and a file is a file with the word, too.
    for (source, word) in [("link", "bind"), ("file", "src-nofollow")] {
        let bundle = bundle("file").mount("/etc/place", "bind", source, &["bind", word]).shell(script);
        assert!(bundle.run().exited(0).starts_with("of the host\n"));
    }
    let on_directory = bundle("/inside").mount("/etc", "bind", "link", &["bind", "src-nofollow"]);
    on_directory.file("etc/x", "", 0o644).run().failed_with(&["/etc", "not a directory"]);
}

#[test]
fn a_destination_that_is_not_followed_is_itself_mounted_upon() {
    if !tests_pinnace() {
        return;
    }
    let script = "cat /link /etc/file; grep -o ' /link .*' /proc/self/mountinfo";
    let on_link = |text: &str, options: &[&str]| {
        let bundle = bundle("text").file("etc/file", "of the image\n", 0o644).shell(script);
        with_link(bundle, text, "link").mount("/link", "bind", "file", options)
    };
    let nofollow = ["bind", "dest-nofollow", "ro"];
    for bundle in [on_link("/etc/file", &nofollow), mapped(on_link("etc/file", &nofollow))] {
        let outcome = bundle.run();
        let expected = "of the host\nof the image\n /link ro";
        assert!(outcome.succeeded().starts_with(expected), "{}", outcome.describe());
    }
    let followed = on_link("/etc/file", &["bind"]).run();
    assert_eq!(followed.exited(1), "of the host\nof the host");

    // Nothing behind it is looked at or made, wherever it leads.
    for text in
        ["missing", "/proc/self/attr/exec", "../../../../../../../../../../tmp/made-by-nobody", "link"]
    {
        let container = on_link(text, &nofollow).container();
        let outcome = container.run();
        assert!(
            outcome.succeeded().starts_with("of the host\nof the image\n /link ro"),
            "{text}: {}",
            outcome.describe()
        );
        assert!(
            !container.bundle.rootfs().join("missing").exists() && !Path::new("/tmp/made-by-nobody").exists()
        );
    }
    let directory = with_link(bundle("text"), "etc", "link").mount("/link", "bind", ".", &nofollow);
    directory.run().failed_with(&["/link", "not a directory"]);
}

#[test]
fn symlinks_before_the_last_component_are_followed_inside_the_root() {
    if !tests_pinnace() {
        return;
    }
    let inside = with_link(bundle("text"), "../../../../../../../../../../made", "way")
        .mount("/way/deep/place", "bind", "link", &["bind", "src-nofollow", "dest-nofollow"])
        .mount("/way/link", "bind", "link", &["bind", "copy-symlink"])
        .shell("readlink /made/deep/place; readlink /way/link; grep -c ' /made/deep/place ' /proc/self/mountinfo");
    assert_eq!(inside.run().succeeded(), "text\ntext\n1");
    assert!(!Path::new("/made").exists());
    let into_proc = with_link(bundle("text"), "/proc/self", "way");
    into_proc
        .mount("/way/exe", "bind", "file", &["bind", "dest-nofollow"])
        .run()
        .failed_with(&["inside /proc"]);
}

#[test]
fn a_symlink_lies_on_a_symlink() {
    if !tests_pinnace() {
        return;
    }
    let outcome = with_link(bundle("of the host"), "of the image", "link")
        .mount("/link", "bind", "link", &["bind", "src-nofollow", "dest-nofollow"])
        .shell("readlink /link")
        .run();
    assert_eq!(outcome.succeeded(), "of the host");
}

#[test]
fn what_is_no_new_bind_has_no_symlinks() {
    if !tests_pinnace() {
        return;
    }
    for word in ["copy-symlink", "src-nofollow", "dest-nofollow"] {
        let reason = format!("$.mounts[7].options: {word}: the mount is no new bind");
        for (kind, options) in [("tmpfs", &[word][..]), ("none", &["bind", "remount", word])] {
            Bundle::new().mount("/tmp", kind, "tmpfs", options).run().failed_with(&[&reason]);
        }
    }
}

#[test]
fn an_ordinary_user_has_them_all() {
    if !tests_pinnace() {
        return;
    }
    let script = "readlink /etc/copied; readlink /etc/place; cat /link; grep -cE ' /(etc/place|link) ' /proc/self/mountinfo";
    let bundle = with_link(bundle("text"), "nowhere", "link")
        .mount("/etc/copied", "bind", "link", &["bind", "copy-symlink"])
        .mount("/etc/place", "bind", "link", &["bind", "src-nofollow"])
        .mount("/link", "bind", "file", &["bind", "dest-nofollow"])
        .shell(script);
    let etc = bundle.rootfs().join("etc");
    fs::create_dir_all(&etc).expect("mkdir");
    std::os::unix::fs::chown(&etc, Some(4242), Some(4242)).expect("chown");
    let container = of_user(bundle);
    let path = container.bundle.path();
    let Some(command) = by_user(&container, &["run", "--bundle", path.to_str().unwrap(), &container.id])
    else {
        return skip("setpriv is not installed");
    };
    assert_eq!(run_within_limit(command).succeeded(), "text\ntext\nof the host\n2");
}

#[test]
fn symlinks_are_mounted_and_mounted_upon_in_a_container_that_runs() {
    if !tests_pinnace() {
        return;
    }
    let container =
        with_link(bundle("text").writable(), "nowhere", "link").args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    let inside =
        |script: &str| container.call(&["exec", &container.id, "sh", "-c", script]).succeeded().to_owned();
    let table = || inside("cut -d ' ' -f 5- /proc/self/mountinfo");
    let list = container.bundle.scratch().join("mounts.json");
    let mounts = |action: &str, mounts: pinnace_tests::Value| {
        fs::write(&list, mounts.to_string()).expect("write");
        container.call(&["mounts", action, &container.id, list.to_str().expect("UTF-8")])
    };
    let before = table();
    let mount = |destination: &str, source: &str, word: &str| json!({"destination": destination, "source": source, "options": ["bind", word]});
    let good = json!([
        mount("/etc/place", "link", "src-nofollow"),
        mount("/link", "file", "dest-nofollow"),
        mount("/etc/bound", "file", "copy-symlink"),
    ]);
    mounts("add", good.clone()).succeeded();
    assert_eq!(inside("readlink /etc/place; cat /link /etc/bound"), "text\nof the host\nof the host");
    mounts("remove", good).succeeded();
    assert_eq!((table(), inside("readlink /link")), (before.clone(), String::from("nowhere")));
    // A copy could not be taken away again.
    let copied = mounts("add", json!([mount("/etc/copied", "link", "copy-symlink")]));
    copied.failed_with(&["mounts add failed: $.mounts[0].options: copy-symlink: the source is a symlink"]);
    assert_eq!((table(), inside("readlink /etc/copied || echo none")), (before, String::from("none")));
}
