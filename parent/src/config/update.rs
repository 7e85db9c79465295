//! A change of limits while the container runs: resources that stand alone, and what they make of those in force.

use oci_spec::runtime::LinuxResources;

use super::problems::{Problem, Problems};
use super::{BlockIo, Cpu, Memory, Resources, check, faults, shape, tree};
use crate::error::{Error, Result};

/// What an update comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// What is to be written: what was asked for, and what the kernel takes only together with it.
    pub change: Resources,
    /// What is in force then.
    pub kept: Resources,
}

/// The resources in a JSON document, and warnings. Zeros and fields that are left out mean "leave alone", and so does everything about
/// devices: the CRI repeats a rule that denies all.
pub fn parse_update(text: &[u8]) -> Result<(Resources, Vec<String>)> {
    let (mut tree, repeated) =
        tree::parse(text).map_err(|error| Error::new(format!("resources are not valid JSON: {error}")))?;
    let mut problems = Problems::default();
    for path in &repeated {
        problems.add(path.to_string(), "comes twice");
    }
    faults::drop_nulls(&mut tree);
    if let Some(resources) = tree.as_object_mut() {
        resources.remove("devices");
        faults::put_resources_right(resources);
    }
    for fault in shape::faults_of_resources(&tree) {
        problems.add(fault.path().to_string(), fault.reason());
    }
    let mut warnings = Vec::new();
    let mut checked = Resources::default();
    match tree::read::<LinuxResources>(&tree) {
        Ok(resources) => checked = check::check_update(&resources, &mut problems, &mut warnings),
        Err(tree::Misfit { path, text }) => {
            let value = path.find(&mut tree).cloned().unwrap_or_default();
            problems.add(path.to_string(), faults::words(&path, &value, &text));
        }
    }
    if problems.0.is_empty() { Ok((checked, warnings)) } else { Err(Error::new(sentence(&problems))) }
}

fn sentence(problems: &Problems) -> String {
    let problems: Vec<String> = problems.0.iter().map(Problem::to_string).collect();
    format!("resources: {}", problems.join("; "))
}

impl Resources {
    /// What `asked` makes of the limits in force.
    ///
    /// Errors: it contradicts them.
    pub fn updated(&self, mut asked: Resources) -> Result<Update> {
        if asked.memory.limit == Some(-1) && asked.memory.swap.is_none() {
            // Without a limit for memory, one for both would be left over (runc does the same).
            asked.memory.swap = Some(-1);
        }
        let is_idle =
            self.cpu.idle == Some(1) || self.unified.get("cpu.idle").is_some_and(|value| value.trim() == "1");
        if asked.cpu.shares.is_some() && asked.cpu.idle.is_none() && is_idle {
            // An idle cgroup has no shares: the last word counts (runc under systemd does the same).
            asked.cpu.idle = Some(0);
        }
        let mut kept = self.clone();
        kept.memory = self.memory.updated(&asked.memory);
        kept.cpu = self.cpu.updated(&asked.cpu);
        kept.block_io = self.block_io.updated(&asked.block_io);
        kept.pids_limit = asked.pids_limit.or(self.pids_limit);
        update_list(&mut kept.hugepage_limits, &asked.hugepage_limits, |limit| limit.page_size.clone());
        kept.network.class_id = asked.network.class_id.or(self.network.class_id);
        let name = |entry: &super::InterfacePriority| entry.name.clone();
        update_list(&mut kept.network.priorities, &asked.network.priorities, name);
        kept.rdma.extend(asked.rdma.iter().map(|(name, limit)| (name.clone(), *limit)));
        kept.forget_in_files(&asked);
        kept.unified.extend(asked.unified.iter().map(|(file, value)| (file.clone(), value.clone())));
        let alone = kept.memory.swap_alone();
        kept.take_from(&asked.unified);
        if asked.unified.contains_key("memory.max") && asked.memory.swap.is_none() {
            kept.memory.hold_swap(alone);
        }

        let mut change = asked;
        if change.memory.limit.is_some() || change.memory.swap.is_some() {
            if let Some(fault) = kept.memory.fault_of_swap() {
                return Err(Error::new(fault));
            }
            (change.memory.limit, change.memory.swap) = (kept.memory.limit, kept.memory.swap);
        }
        change.memory.check_before_update =
            change.memory.check_before_update.or(kept.memory.check_before_update);
        Ok(Update { change, kept })
    }
}

impl Memory {
    fn updated(&self, asked: &Memory) -> Memory {
        Memory {
            limit: asked.limit.or(self.limit),
            reservation: asked.reservation.or(self.reservation),
            swap: asked.swap.or(self.swap),
            swappiness: asked.swappiness.or(self.swappiness),
            disable_oom_killer: asked.disable_oom_killer.or(self.disable_oom_killer),
            check_before_update: self.check_before_update,
        }
    }
}

impl Cpu {
    fn updated(&self, asked: &Cpu) -> Cpu {
        Cpu {
            // The kernel forgets the shares of a cgroup whose idleness changes.
            shares: asked.shares.or(self.shares.filter(|_| asked.idle.is_none())),
            quota: asked.quota.or(self.quota),
            period: asked.period.or(self.period),
            burst: asked.burst.or(self.burst),
            realtime_runtime: asked.realtime_runtime.or(self.realtime_runtime),
            realtime_period: asked.realtime_period.or(self.realtime_period),
            cpus: asked.cpus.clone().or_else(|| self.cpus.clone()),
            mems: asked.mems.clone().or_else(|| self.mems.clone()),
            idle: asked.idle.or(self.idle),
        }
    }
}

impl BlockIo {
    fn updated(&self, asked: &BlockIo) -> BlockIo {
        let mut kept = self.clone();
        kept.weight = asked.weight.or(self.weight);
        kept.leaf_weight = asked.leaf_weight.or(self.leaf_weight);
        update_list(&mut kept.weight_devices, &asked.weight_devices, |entry| entry.device);
        for (kept, asked) in [
            (&mut kept.read_bps, &asked.read_bps),
            (&mut kept.write_bps, &asked.write_bps),
            (&mut kept.read_iops, &asked.read_iops),
            (&mut kept.write_iops, &asked.write_iops),
        ] {
            update_list(kept, asked, |entry| entry.device);
        }
        kept
    }
}

/// An entry with the key of an old one takes its place.
fn update_list<T: Clone, K: PartialEq>(kept: &mut Vec<T>, asked: &[T], key: impl Fn(&T) -> K) {
    for entry in asked {
        match kept.iter_mut().find(|old| key(old) == key(entry)) {
            Some(old) => *old = entry.clone(),
            None => kept.push(entry.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Resources {
        parse_update(text.as_bytes()).unwrap().0
    }

    fn check(before: &str, asked: &str, change: &str, kept: &str) {
        let update = parsed(before).updated(parsed(asked)).unwrap();
        assert_eq!(update, Update { change: parsed(change), kept: parsed(kept) }, "{asked}");
    }

    #[test]
    fn zeros_and_what_is_left_out_stay() {
        let before = r#"{"memory": {"limit": 100, "swap": 200}, "cpu": {"quota": 5000, "period": 10000}}"#;
        let docker = r#"{"memory": {"limit": 0, "reservation": 0, "kernel": 0}, "cpu": {"shares": 0, "quota": 7000},
            "blockIO": {"weight": 0}, "devices": [{"allow": false, "access": "rwm"}]}"#;
        let kept = r#"{"memory": {"limit": 100, "swap": 200}, "cpu": {"quota": 7000, "period": 10000}}"#;
        check(before, docker, r#"{"cpu": {"quota": 7000}}"#, kept);
        check(before, "{}", "{}", before);
    }

    #[test]
    fn memory_and_swap_go_together() {
        let before = r#"{"memory": {"limit": 100, "swap": 200}}"#;
        let after = r#"{"memory": {"limit": 150, "swap": 200}}"#;
        check(before, r#"{"memory": {"limit": 150}}"#, after, after);
        let unlimited = r#"{"memory": {"limit": -1, "swap": -1}}"#;
        check(before, r#"{"memory": {"limit": -1}}"#, unlimited, unlimited);
        let error = parsed(before).updated(parsed(r#"{"memory": {"limit": 300}}"#)).unwrap_err();
        assert_eq!(error.to_string(), "memory+swap limit should be >= memory limit");
    }

    #[test]
    fn what_is_used_is_asked_where_the_update_says_so_or_else_the_configuration() {
        let check = |word: &str| format!(r#"{{"memory": {{"limit": 100{word}}}}}"#);
        let (on, off, silent) = (r#", "checkBeforeUpdate": true"#, r#", "checkBeforeUpdate": false"#, "");
        for (before, asked, expected) in [
            (silent, on, Some(true)),
            (on, off, Some(false)),
            (on, silent, Some(true)),
            (silent, silent, None),
        ] {
            let before = parsed(&check(before));
            let update = before.updated(parsed(&check(asked))).unwrap();
            assert_eq!(update.change.memory.check_before_update, expected);
            assert_eq!(update.kept.memory.check_before_update, before.memory.check_before_update);
        }
    }

    #[test]
    fn shares_end_idleness() {
        let shares = r#"{"cpu": {"shares": 512}}"#;
        let both = r#"{"cpu": {"shares": 512, "idle": 0}}"#;
        check(r#"{"cpu": {"idle": 1}}"#, shares, both, both);
        check(r#"{"unified": {"cpu.idle": "1"}}"#, shares, both, both);
        check("{}", shares, shares, shares);
    }

    #[test]
    fn entries_of_lists_are_replaced_by_device_and_idleness_forgets_shares() {
        let throttles = |list: &str| format!(r#"{{"blockIO": {{"throttleReadBpsDevice": [{list}]}}}}"#);
        let (first, second, changed) = (
            r#"{"major": 8, "minor": 0, "rate": 1}"#,
            r#"{"major": 8, "minor": 16, "rate": 2}"#,
            r#"{"major": 8, "minor": 0, "rate": 3}"#,
        );
        let kept = throttles(&format!("{changed}, {second}"));
        check(&throttles(&format!("{first}, {second}")), &throttles(changed), &throttles(changed), &kept);
        let idle = r#"{"cpu": {"idle": 1}}"#;
        check(r#"{"cpu": {"shares": 512}}"#, idle, idle, idle);
    }

    #[test]
    fn faults_are_named_by_their_path() {
        for (text, expected) in [
            ("{", "resources are not valid JSON: "),
            ("[]", "resources: $: invalid type: array, expected an object"),
            (
                r#"{"memory": {"limit": "x"}}"#,
                "resources: $.memory.limit: invalid type: string \"x\", expected an integer of 64 bits",
            ),
            (r#"{"cpu": {"idle": 7}}"#, "resources: $.cpu.idle: is neither 0 nor 1"),
        ] {
            let error = parse_update(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
