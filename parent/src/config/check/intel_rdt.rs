//! `linux.intelRdt`.

use oci_spec::runtime::Linux;
use shared_proto::limits::PATH_BYTES_MAX;

use super::super::IntelRdt;
use super::super::problems::Problems;

/// Directories of resctrl that are no groups.
const RESERVED: [&str; 3] = ["info", "mon_data", "mon_groups"];

pub(super) fn check(linux: Option<&Linux>, problems: &mut Problems) -> Option<IntelRdt> {
    let rdt = linux?.intel_rdt().as_ref()?;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let clos_id = text(rdt.clos_id());
    if let Some(name) = clos_id.as_deref().filter(|name| *name != "/") {
        problems.check_text("$.linux.intelRdt.closID", name, 255);
        if name.contains('/') || matches!(name, "." | "..") || RESERVED.contains(&name) {
            problems.add("$.linux.intelRdt.closID", format!("invalid intelRdt.ClosID {name:?}"));
        }
    }
    let l3_cache_schema = text(rdt.l3_cache_schema());
    if let Some(schema) = &l3_cache_schema {
        problems.check_text("$.linux.intelRdt.l3CacheSchema", schema, PATH_BYTES_MAX);
    }
    let mem_bw_schema = text(rdt.mem_bw_schema());
    if let Some(schema) = &mem_bw_schema {
        let path = "$.linux.intelRdt.memBwSchema";
        problems.check_text(path, schema, PATH_BYTES_MAX);
        if !schema.starts_with("MB:") || schema.contains('\n') {
            problems.add(path, format!("{schema:?} is not one line that begins with \"MB:\""));
        }
    }
    let schemata = rdt.schemata().clone().unwrap_or_default();
    for (index, line) in schemata.iter().enumerate() {
        let path = format_args!("$.linux.intelRdt.schemata[{index}]");
        problems.check_text(path, line, PATH_BYTES_MAX);
        if line.trim().is_empty() || line.contains('\n') {
            problems.add(path, format!("{line:?} is not one line"));
        }
    }
    let enable_monitoring = rdt.enable_monitoring().unwrap_or(false);
    Some(IntelRdt { clos_id, l3_cache_schema, mem_bw_schema, schemata, enable_monitoring })
}
