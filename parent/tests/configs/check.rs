//! What must hold for every config.json: it is refused with reasons, or becomes a plan that stage1 reads as it was meant.
//! The fuzzer of tests/fuzz uses this file as well.

use pinnace::cgroup;
use pinnace::config;
use pinnace::host::{CgroupHost, Hierarchy, HostFacts, SecurityHost};
use pinnace::plan::{Filter, Request, Store, plan, show};
use shared_proto::{Message, encode, encoded_bytes, order};

use crate::wire;

/// Returns why the text is no configuration.
pub(crate) fn check(text: &[u8]) -> Result<(), String> {
    let config = config::parse(text).map_err(|error| error.to_string())?;
    for host in [v1(), v2()] {
        let placement = cgroup::place(&host.cgroups, config.cgroups_path.as_deref(), "web")
            .map_err(|error| error.to_string())?;
        let filter = config.seccomp.as_ref().map(|profile| Filter { flags: profile.flags, program: &[6; 8] });
        let request = Request {
            detaches: false,
            config: &config,
            filter,
            host: &host,
            placement: &placement,
            root: "/bundle/rootfs",
            id: "web",
            bundle: "/bundle",
            no_pivot: false,
            no_new_keyring: false,
            hold: true,
            preserved_count: 0,
            takes_notes: false,
            is_entered: false,
            shows_process: false,
        };
        let store = Store::default();
        let plan = plan(&request, &store).map_err(|error| error.to_string())?;
        assert!(!show::text(&plan).is_empty() && show::json(&plan).is_object());
        let order = plan.steps.iter().map(|phased| (phased.phase, phased.step.kind()));
        assert_eq!(order::first_violation(order), None);

        let message = Message {
            bootstrap: plan.bootstrap,
            steps: &plan.steps,
            arguments: &plan.program.arguments,
            environment: &plan.program.environment,
        };
        let mut bytes = vec![0; encoded_bytes(&message)];
        if encode(&message, &wire::BUILD_ID, &mut bytes).is_err() {
            return Err(String::from("the message is larger than the bound"));
        }
        let read = wire::check(&bytes).expect("stage1 takes what the parent makes");
        let process = &config.process;
        let meant = format!("{:?} {:?} {:?}", plan.steps, process.args, process.env);
        // The converter has no other letters than ASCII's.
        if meant.is_ascii() && process.cwd.is_ascii() && !meant.contains("\\u{") {
            let found =
                read.message(|read| format!("{:?} {:?} {:?}", read.steps, read.arguments, read.environment));
            assert_eq!(found, meant);
        }
    }
    Ok(())
}

fn hierarchy(name: &str, controllers: &[&str]) -> Hierarchy {
    Hierarchy {
        mountpoint: format!("/sys/fs/cgroup{name}"),
        controllers: controllers.iter().map(|name| String::from(*name)).collect(),
        own: String::from("/"),
    }
}

fn host(cgroups: CgroupHost) -> HostFacts {
    HostFacts {
        cgroups,
        uid: 0,
        is_initial_user_namespace: true,
        sees_all_cgroups: true,
        denies_groups: false,
        has_kcore: true,
        security: SecurityHost { apparmor: true, selinux: true, landlock_abi: 5 },
    }
}

fn v1() -> HostFacts {
    let hierarchies = vec![hierarchy("/cpu,cpuacct", &["cpu", "cpuacct"]), hierarchy("/memory", &["memory"])];
    host(CgroupHost::V1 { hierarchies, unified: None })
}

fn v2() -> HostFacts {
    host(CgroupHost::V2 { unified: hierarchy("", &[]) })
}
