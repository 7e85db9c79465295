//! COVERAGE.md and CGROUPS.md tell the truth: every field, every kind of step, and only tests and files that exist.

use std::collections::BTreeSet;
use std::fs;

use pinnace_tests::workspace;

/// Where config.md and config-linux.md of runtime-spec 1.3.0 have objects: the object, and its properties on Linux.
const FIELDS: &[(&str, &str)] = &[
    ("", "ociVersion process hostname domainname annotations"),
    ("root.", "path readonly"),
    ("mounts[].", "destination source type options uidMappings gidMappings"),
    (
        "process.",
        "terminal consoleSize cwd env args commandLine apparmorProfile noNewPrivileges oomScoreAdj selinuxLabel",
    ),
    ("process.user.", "uid gid umask additionalGids username"),
    ("process.rlimits[].", "type soft hard"),
    ("process.capabilities.", "bounding permitted effective inheritable ambient"),
    ("process.scheduler.", "policy nice priority flags runtime deadline period"),
    ("process.ioPriority.", "class priority"),
    ("process.execCPUAffinity.", "initial final"),
    ("hooks.", "prestart createRuntime createContainer startContainer poststart poststop"),
    ("hooks.*[].", "path args env timeout"),
    ("linux.", "cgroupsPath sysctl rootfsPropagation maskedPaths readonlyPaths mountLabel"),
    ("linux.namespaces[].", "type path"),
    ("linux.uidMappings[].", "containerID hostID size"),
    ("linux.gidMappings[].", "containerID hostID size"),
    ("linux.timeOffsets.*.", "secs nanosecs"),
    ("linux.devices[].", "type path major minor fileMode uid gid"),
    ("linux.netDevices.*.", "name"),
    ("linux.resources.", "unified"),
    ("linux.resources.devices[].", "allow type major minor access"),
    (
        "linux.resources.memory.",
        "limit reservation swap kernel kernelTCP swappiness disableOOMKiller useHierarchy checkBeforeUpdate",
    ),
    ("linux.resources.cpu.", "shares quota burst period realtimeRuntime realtimePeriod cpus mems idle"),
    ("linux.resources.blockIO.", "weight leafWeight"),
    ("linux.resources.blockIO.weightDevice[].", "major minor weight leafWeight"),
    ("linux.resources.blockIO.throttleReadBpsDevice[].", "major minor rate"),
    ("linux.resources.blockIO.throttleWriteBpsDevice[].", "major minor rate"),
    ("linux.resources.blockIO.throttleReadIOPSDevice[].", "major minor rate"),
    ("linux.resources.blockIO.throttleWriteIOPSDevice[].", "major minor rate"),
    ("linux.resources.hugepageLimits[].", "pageSize limit"),
    ("linux.resources.network.", "classID"),
    ("linux.resources.network.priorities[].", "name priority"),
    ("linux.resources.pids.", "limit"),
    ("linux.resources.rdma.*.", "hcaHandles hcaObjects"),
    ("linux.intelRdt.", "closID schemata l3CacheSchema memBwSchema enableMonitoring"),
    ("linux.memoryPolicy.", "mode nodes flags"),
    ("linux.seccomp.", "defaultAction defaultErrnoRet architectures flags listenerPath listenerMetadata"),
    ("linux.seccomp.syscalls[].", "names action errnoRet"),
    ("linux.seccomp.syscalls[].args[].", "index value valueTwo op"),
    ("linux.personality.", "domain flags"),
];

struct Row {
    field: String,
    decided_in: String,
    steps: String,
    tests: Vec<String>,
}

fn document() -> String {
    fs::read_to_string(workspace().join("tests/COVERAGE.md")).expect("read COVERAGE.md")
}

/// The rows of the tables with four columns, without their heads.
fn rows() -> Vec<Row> {
    let document = document();
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = document.lines().filter(|line| line.starts_with("| ")).map(cells);
    let is_row = |cells: &Vec<String>| cells.len() == 4 && !matches!(cells[0].as_str(), "field" | "what");
    rows.filter(is_row)
        .map(|cells| Row {
            field: cells[0].trim_matches('`').to_owned(),
            decided_in: cells[1].clone(),
            steps: cells[2].clone(),
            tests: cells[3].split(", ").map(|test| test.trim_matches('`').to_owned()).collect(),
        })
        .collect()
}

#[test]
fn every_field_of_the_specification_has_a_row() {
    let rows = rows();
    let listed: Vec<&str> = rows.iter().map(|row| row.field.as_str()).collect();
    let mut expected = BTreeSet::new();
    for (object, properties) in FIELDS {
        expected.extend(properties.split_whitespace().map(|property| format!("{object}{property}")));
    }
    for field in &expected {
        let count = listed.iter().filter(|listed| *listed == field).count();
        assert_eq!(count, 1, "{field} has {count} rows");
    }
    let others: Vec<_> = listed.iter().filter(|field| !expected.contains(**field)).collect();
    // Of those, what there is no field for is told in words.
    assert!(others.iter().all(|what| what.contains(' ')), "no fields: {others:?}");
}

#[test]
fn every_test_that_is_named_exists() {
    for row in rows() {
        assert!(!row.tests.is_empty(), "{}", row.field);
        row.tests.iter().for_each(|test| assert_exists(&row.field, test));
    }
}

fn assert_exists(row: &str, test: &str) {
    let (module, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{row}: {test}"));
    let file = format!("tests/tests/end_to_end/{}.rs", module.replace("::", "/"));
    let source = fs::read_to_string(workspace().join(&file)).unwrap_or_else(|_| panic!("{file}"));
    assert!(source.contains(&format!("#[test]\nfn {name}()")), "{row}: {file} has no {name}");
}

/// The rows of CGROUPS.md: what, three managers, tests.
fn cgroup_rows() -> Vec<Vec<String>> {
    let document = fs::read_to_string(workspace().join("tests/CGROUPS.md")).expect("read CGROUPS.md");
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = document.lines().filter(|line| line.starts_with("| ")).map(cells);
    rows.filter(|cells| cells.len() == 5 && !matches!(cells[0].as_str(), "resource" | "what")).collect()
}

#[test]
fn every_limit_has_a_row_with_every_manager_and_tests_that_exist() {
    let rows = cgroup_rows();
    for cells in &rows {
        for cell in &cells[1..4] {
            let reason = cell.strip_prefix('—').unwrap_or(cell).trim();
            assert!(!reason.is_empty(), "{}: a cell has neither a file nor a reason", cells[0]);
        }
        let tests: Vec<&str> = cells[4].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{} has no test", cells[0]);
        tests.iter().for_each(|test| assert_exists(&cells[0], test));
    }
    // Lists and maps have one row each.
    let resources =
        FIELDS.iter().filter_map(|(object, names)| Some((object.strip_prefix("linux.resources.")?, names)));
    let mut expected = BTreeSet::new();
    for (object, names) in resources {
        match object.strip_suffix("[].").or(object.strip_suffix("*.")) {
            Some(_) => drop(expected.insert(object.trim_end_matches('.').to_owned())),
            None => expected.extend(names.split_whitespace().map(|name| format!("{object}{name}"))),
        }
    }
    for field in expected {
        let count = rows.iter().filter(|cells| cells[0] == format!("`{field}`")).count();
        assert_eq!(count, 1, "{field} has {count} rows");
    }
}

#[test]
fn every_file_that_is_named_exists() {
    for row in rows() {
        for file in row.decided_in.split(", ").filter(|file| !file.starts_with('—')) {
            assert!(workspace().join("parent/src").join(file).is_file(), "{}: {file}", row.field);
        }
    }
}

#[test]
fn every_kind_of_step_is_some_fields() {
    let source = fs::read_to_string(workspace().join("shared-proto/src/step.rs")).expect("read step.rs");
    let table = source.split("\nkinds! {").nth(1).expect("the table of kinds");
    let table = table.split("\n}").next().expect("its end");
    let kinds: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.trim().split_once(" = ").map(|(name, _)| name))
        .filter(|name| name.chars().all(char::is_alphanumeric))
        .collect();
    assert!(kinds.len() > 25, "{kinds:?}");
    let rows = rows();
    for kind in kinds {
        let is_named = |row: &Row| row.steps.split([',', ' ', ';']).any(|word| word == kind);
        assert!(rows.iter().any(is_named), "no field needs {kind}");
    }
}

#[test]
fn the_totals_are_right() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| !row.field.contains(' ')).collect();
    let in_work = rows.iter().filter(|row| row.steps.contains("in work")).count();
    let tests: BTreeSet<&String> = rows.iter().flat_map(|row| &row.tests).collect();
    let expected = format!("{} fields, {in_work} of them in work; {} tests named.", rows.len(), tests.len());
    assert!(document().contains(&expected), "expected: {expected}");
}
