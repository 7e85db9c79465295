//! `linux.resources.blockIO`: weights and throttles.

use std::fs;
use std::time::{Duration, Instant};

use pinnace_tests::{Bundle, json, skip, tests_pinnace};

use super::{a_manager, check, directory, file, hierarchy, ignored_on_v2, is_v2, read, sleeping};

/// A block device that nobody uses, by number: best one without a disk behind it.
pub(super) fn disk() -> Option<(u64, u64)> {
    let number = |name: &str| fs::read_to_string(format!("/sys/block/{name}/dev")).ok();
    let any = || {
        let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
        entries.filter_map(|entry| number(&entry.file_name().to_string_lossy())).max()
    };
    let found = number("nullb0").or_else(any);
    let parsed = found.and_then(|text| {
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    if parsed.is_none() {
        skip("the machine has no disk");
    }
    parsed
}

#[test]
fn throttles() {
    let Some((major, minor)) = disk() else { return };
    let throttle = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let io = json!({
        "throttleReadBpsDevice": throttle(1_048_576),
        "throttleWriteBpsDevice": throttle(2_097_152),
        "throttleReadIOPSDevice": throttle(300),
        "throttleWriteIOPSDevice": throttle(400),
    });
    let v2 = format!("io.max: {major}:{minor} rbps=1048576 wbps=2097152 riops=300 wiops=400");
    let v1 = |name: &str, rate: u64| format!("blkio.throttle.{name}_device: {major}:{minor} {rate}");
    let files = [
        file("blkio", v1("read_bps", 1_048_576), v2),
        file("blkio", v1("write_bps", 2_097_152), ""),
        file("blkio", v1("read_iops", 300), ""),
        file("blkio", v1("write_iops", 400), ""),
    ];
    check(json!({"blockIO": io}), &files);
}

/// Seen from inside: a disk that answers at once takes its time.
#[test]
fn throttle_is_in_force() {
    let number = fs::read_to_string("/sys/block/nullb0/dev").unwrap_or_default();
    let Some((major, minor)) = number.trim().split_once(':') else {
        return skip("no null_blk device: no disk that is nobody's and quick");
    };
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let (major, minor) = (number(major), number(minor));
    if hierarchy("blkio").is_none() {
        return;
    }
    let took = |rate: u64| {
        let begin = Instant::now();
        Bundle::new()
            .set(
                "/linux/devices",
                json!([{"type": "b", "path": "/dev/disk", "major": major, "minor": minor}]),
            )
            .set(
                "/linux/resources",
                json!({
                    "devices": [{"allow": true, "type": "b", "major": major, "minor": minor, "access": "rw"}],
                    "blockIO": {"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": rate}]},
                }),
            )
            .args(&["/bin/dd", "if=/dev/disk", "of=/dev/null", "bs=1M", "count=4", "iflag=direct"])
            .container()
            .with_global_options(a_manager())
            .run()
            .succeeded();
        begin.elapsed()
    };
    let free = took(0);
    assert!(took(1 << 20) > free + Duration::from_secs(2), "{free:?}");
}

/// Needs a scheduler that has weights: BFQ, in the virtual machine with systemd.
#[test]
fn weights() {
    let Some(mount) = hierarchy("blkio") else { return };
    let Some((major, minor)) = disk() else { return };
    if !is_v2() && !mount.join("blkio.bfq.io_serviced").exists() {
        return skip("the kernel has no BFQ");
    }
    let probe = sleeping()
        .set("/linux/resources", json!({"blockIO": {"weight": 123}}))
        .container()
        .with_global_options(a_manager());
    let outcome = probe.run_detached();
    if outcome.code != 0 {
        outcome.failed_with(&["blockIO.weight"]);
        return skip("no disk has a scheduler with weights");
    }
    let is_bfq =
        directory(&probe, "blkio").join(if is_v2() { "io.bfq.weight" } else { "blkio.bfq.weight" }).exists();
    let v2 = if is_bfq { "io.bfq.weight: default 123" } else { "io.weight: default 1142" };
    check(json!({"blockIO": {"weight": 123}}), &[file("blkio", "", v2)]);
    if !is_v2() {
        assert_eq!(read(&directory(&probe, "blkio"), "blkio.bfq.weight"), "123");
    }
    let scheduler = fs::read_to_string("/sys/block/nullb0/queue/scheduler").unwrap_or_default();
    if !is_bfq || !scheduler.contains("[bfq]") {
        return skip("no disk uses BFQ: none can have a weight of its own");
    }
    let devices = json!([{"major": major, "minor": minor, "weight": 77}]);
    let line = format!("{major}:{minor} 77");
    check(
        json!({"blockIO": {"weightDevice": devices}}),
        &[file("blkio", "", format!("io.bfq.weight: {line}"))],
    );
    if !is_v2() {
        let container = sleeping()
            .set("/linux/resources", json!({"blockIO": {"weightDevice": devices}}))
            .container()
            .with_global_options(a_manager());
        container.run_detached().succeeded();
        let text = read(&directory(&container, "blkio"), "blkio.bfq.weight_device");
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}

/// As in runc: docker and podman hand such weights on wherever they are asked for them.
#[test]
fn weight_of_a_disk_that_knows_none_is_passed_over() {
    let Some((major, minor)) = disk() else { return };
    let scheduler = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/queue/scheduler"));
    let models = fs::read_to_string("/sys/fs/cgroup/io.cost.qos").unwrap_or_default();
    if scheduler.is_ok_and(|list| list.contains("[bfq]")) || models.contains("enable=1") {
        return skip("the disk has weights");
    }
    let devices = json!([{"major": major, "minor": minor, "weight": 77}]);
    ignored_on_v2(json!({"blockIO": {"weightDevice": devices}}), "blockIO.weightDevice[0].weight");
}

/// CFQ's, which left with Linux 5.0.
#[test]
fn leaf_weights_have_no_file() {
    ignored_on_v2(json!({"blockIO": {"leafWeight": 10}}), "blockIO.leafWeight");
    let device = json!([{"major": 8, "minor": 0, "leafWeight": 10}]);
    ignored_on_v2(json!({"blockIO": {"weightDevice": device}}), "blockIO.weightDevice[0].leafWeight");
    let Some(mount) = hierarchy("blkio") else { return };
    if is_v2() || mount.join("blkio.leaf_weight").exists() || !tests_pinnace() {
        return;
    }
    for (field, io) in [
        ("leafWeight", json!({"leafWeight": 10})),
        ("weightDevice[0].leafWeight", json!({"weightDevice": device})),
    ] {
        let container = sleeping()
            .set("/linux/resources", json!({"blockIO": io}))
            .container()
            .with_global_options(a_manager());
        container
            .run_detached()
            .failed_with(&[&format!("$.linux.resources.blockIO.{field}"), "has no blkio.leaf_weight"]);
        assert!(container.snapshot().cgroups.is_empty(), "{}", container.snapshot());
    }
}
