//! Groups on a tree of plain directories: no machine at hand has resctrl.

use super::*;
use crate::config::IntelRdt;

/// A directory that looks like a resctrl mount.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("pinnace-rdt-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("info")).unwrap();
        fs::write(root.join("schemata"), "    L3:0=00fff;1=00fff\n    MB:0= 100;1= 100\n").unwrap();
        Self(root)
    }

    fn groups(&self, config: &IntelRdt) -> Groups {
        Groups::open(place_below(&self.0, config, "web"), Made::default())
    }

    fn group(&self, name: &str, schemata: &str) {
        fs::create_dir_all(self.0.join(name).join("mon_groups")).unwrap();
        fs::write(self.0.join(name).join("schemata"), schemata).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap_or_default()
    }

    /// resctrl removes a directory with the kernel's files in it.
    fn forget_files(&self, group: &str) {
        for file in ["schemata", "tasks"] {
            let _ = fs::remove_file(self.0.join(group).join(file));
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config(clos_id: Option<&str>, l3: Option<&str>) -> IntelRdt {
    IntelRdt {
        clos_id: clos_id.map(String::from),
        l3_cache_schema: l3.map(String::from),
        mem_bw_schema: None,
        schemata: Vec::new(),
        enable_monitoring: false,
    }
}

#[test]
fn resctrl_is_found_among_the_mounts() {
    let text = "25 1 0:22 / /proc rw - proc proc rw\n40 25 0:40 / /sys/fs/resctrl rw shared:9 - resctrl resctrl rw\n";
    assert_eq!(mount_point(text), Some("/sys/fs/resctrl"));
    assert_eq!(mount_point("25 1 0:22 / /resctrl rw - proc proc rw\n"), None);
}

#[test]
fn without_a_name_the_group_is_the_containers_own_and_goes_with_it() {
    let tree = Tree::new("own");
    let config = config(None, Some("L3:0=f"));
    let mut groups = tree.groups(&config);
    groups.prepare(&config).unwrap();
    groups.attach(42).unwrap();
    assert_eq!(tree.text("web/schemata"), "L3:0=f\n");
    assert_eq!(tree.text("web/tasks"), "42");
    let taken = tree.groups(&config).prepare(&config).unwrap_err();
    assert!(taken.to_string().contains("web: file exists"), "{taken}");

    let later = Groups::open(groups.placement.clone(), groups.made());
    tree.forget_files("web");
    later.destroy().unwrap();
    assert!(!tree.0.join("web").exists());
    later.destroy().unwrap();
}

#[test]
fn named_group_is_made_where_it_is_missing_and_stays() {
    let tree = Tree::new("named");
    let config = config(Some("gold"), Some("L3:0=f"));
    let mut groups = tree.groups(&config);
    groups.prepare(&config).unwrap();
    assert_eq!(tree.text("gold/schemata"), "L3:0=f\n");
    Groups::open(groups.placement.clone(), groups.made()).destroy().unwrap();
    assert!(tree.0.join("gold").exists(), "others may use it");
    // A creation that fails takes away what it has just made.
    tree.forget_files("gold");
    groups.destroy().unwrap();
    assert!(!tree.0.join("gold").exists());
}

#[test]
fn named_group_that_exists_must_have_the_same_schemata() {
    let tree = Tree::new("compare");
    let padded = "    MB:0= 100;1=  50\n    L3:0=000f;1=0ff0\n";
    tree.group("gold", padded);
    let check = |l3: &str, bandwidth: Option<&str>, expected: Option<&str>| {
        let mut config = config(Some("gold"), Some(l3));
        config.mem_bw_schema = bandwidth.map(String::from);
        let mut groups = tree.groups(&config);
        match (groups.prepare(&config), expected) {
            (Ok(()), None) => assert_eq!(groups.made, Made::default()),
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{error}"),
            (result, _) => panic!("{l3}: {result:?}"),
        }
    };
    check("L3:0=f;1=FF0", None, None);
    check("L3:1=ff0", Some("MB:1=50"), None);
    check("L3:0=ff", None, Some("exists with other schemata: L3:0 is f, not ff"));
    check("L3:2=f", None, Some("L3:2 is not there"));
    check("L3:0=f", Some("MB:1=60"), Some("MB:1 is 50, not 60"));
    assert_eq!(tree.text("gold/schemata"), padded, "it is not changed");
}

#[test]
fn named_group_without_schemata_must_exist() {
    let tree = Tree::new("preset");
    let config = config(Some("gold"), None);
    let error = tree.groups(&config).prepare(&config).unwrap_err().to_string();
    assert!(error.contains("gold does not exist"), "{error}");
    assert!(!tree.0.join("gold").exists());
    tree.group("gold", "L3:0=f\n");
    tree.groups(&config).prepare(&config).unwrap();
}

#[test]
fn slash_is_the_root_group() {
    let tree = Tree::new("slash");
    let config = config(Some("/"), None);
    let mut groups = tree.groups(&config);
    groups.prepare(&config).unwrap();
    groups.attach(7).unwrap();
    assert_eq!(tree.text("tasks"), "7");
    groups.destroy().unwrap();
    assert!(tree.0.join("schemata").exists());
}

#[test]
fn monitoring_group_is_the_containers_own_in_any_group() {
    let tree = Tree::new("monitoring");
    tree.group("gold", "L3:0=f\n");
    let config = IntelRdt { enable_monitoring: true, ..config(Some("gold"), None) };
    let mut groups = tree.groups(&config);
    groups.prepare(&config).unwrap();
    groups.attach(42).unwrap();
    assert_eq!((tree.text("gold/tasks"), tree.text("gold/mon_groups/web/tasks")), ("42".into(), "42".into()));
    tree.forget_files("gold/mon_groups/web");
    Groups::open(groups.placement.clone(), groups.made()).destroy().unwrap();
    assert!(!tree.0.join("gold/mon_groups/web").exists() && tree.0.join("gold").exists());
}

#[test]
fn cache_comes_first_bandwidth_next_and_schemata_last() {
    let mut config = config(None, Some("MB:0=10\nL3:0=f\nL3CODE:0=f"));
    assert_eq!(schemata(&config), ["MB:0=10\nL3:0=f\nL3CODE:0=f\n"]);
    config.mem_bw_schema = Some("MB:0=70".into());
    config.schemata = ["L2:0=3", "MB:0=80"].map(String::from).into();
    assert_eq!(schemata(&config), ["L3:0=f\nL3CODE:0=f\nMB:0=70\n", "L2:0=3\nMB:0=80\n"]);
    config.l3_cache_schema = None;
    config.mem_bw_schema = None;
    config.schemata.clear();
    assert!(schemata(&config).is_empty());
}

#[test]
fn refusal_of_resctrl_is_told_in_its_words() {
    let tree = Tree::new("refusal");
    fs::write(tree.0.join("info/last_cmd_status"), "Mask out of range\n").unwrap();
    let config = config(Some("gold"), Some("L3:0=f"));
    let mut groups = tree.groups(&config);
    groups.placement.group = tree.0.join("gold");
    fs::create_dir_all(tree.0.join("gold/tasks")).unwrap();
    let error = groups.attach(1).unwrap_err().to_string();
    assert!(error.ends_with("gold/tasks: is a directory (Mask out of range)"), "{error}");
}

#[test]
fn an_update_changes_the_group_or_nothing() {
    let tree = Tree::new("update");
    tree.group("web", "    L3:0=00fff\n");
    let change = config(None, Some("L3:0=f"));
    let groups = tree.groups(&change);
    groups.update(&change, || Ok(())).unwrap();
    assert_eq!(tree.text("web/schemata"), "L3:0=f\n");
    let other = config(None, Some("L3:0=3"));
    groups.update(&other, || Err(Error::new("no"))).unwrap_err();
    assert_eq!(tree.text("web/schemata"), "L3:0=f\n");
    tree.forget_files("web");
}
