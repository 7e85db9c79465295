//! Random plans come back as they were; random damage never panics.

use proptest::collection::vec;
use proptest::prelude::*;
use shared_proto::bootstrap::{JOINED_ALL, UNSHARED_ALL};
use shared_proto::limits::{NODE_COUNT_MAX, PROCESSOR_COUNT_MAX};
use shared_proto::order::first_violation;
use shared_proto::{
    Attributes, BindOrigin, Bootstrap, DescriptorSlot, DescriptorSlots, HostLeft, Nofollow, Phase,
    PhasedStep, Propagation, Propagations, RootChange, Scheduler, Step, StepKind,
};

use crate::plan::{self, Plan, Stored, Strings};
use crate::sample;

/// Whatever a step of any kind may need; a kind takes of it what it wants.
#[derive(Clone, Debug)]
struct Ingredients {
    kind: StepKind,
    phase_pick: usize,
    texts: [String; 2],
    paths: [String; 2],
    data: String,
    ids: Vec<u32>,
    words: [u32; 8],
    numbers: [u64; 4],
    flags: [bool; 2],
    propagations: Propagations,
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,40}"
}

fn path() -> impl Strategy<Value = String> {
    "/[^\0]{0,60}"
}

fn propagation() -> impl Strategy<Value = Propagation> {
    let codes: Vec<_> = (0..16).filter_map(Propagation::from_code).collect();
    prop::sample::select(codes)
}

fn propagations() -> impl Strategy<Value = Propagations> {
    vec(propagation(), 0..=8).prop_map(|list| Propagations::new(list).expect("at most eight"))
}

fn ingredients() -> impl Strategy<Value = Ingredients> {
    let strings = ([text(), text()], [path(), path()], "[^\0]{0,90}", vec(any::<u32>(), 0..9));
    let numbers = (any::<[u32; 8]>(), any::<[u64; 4]>(), any::<[bool; 2]>(), propagations());
    (prop::sample::select(StepKind::ALL), any::<usize>(), strings, numbers).prop_map(
        |(kind, phase_pick, (texts, paths, data, ids), (words, numbers, flags, propagations))| Ingredients {
            kind,
            phase_pick,
            texts,
            paths,
            data,
            ids,
            words,
            numbers,
            flags,
            propagations,
        },
    )
}

impl Ingredients {
    fn phase(&self) -> Phase {
        let phases = self.kind.phases();
        phases[self.phase_pick % phases.len()]
    }

    fn step(&self, strings: &mut Strings) -> Step<Stored> {
        let [first, second] = self.texts.clone();
        let [path, other] = self.paths.clone();
        let [a, b, c, d, ..] = self.words;
        let attributes = Attributes { set: a, clear: b };
        let propagations = self.propagations;
        let [soft, hard, inheritable, ambient] = self.numbers;
        match self.kind {
            StepKind::MountFilesystem => Step::MountFilesystem {
                fstype: strings.add_text(first),
                source: strings.add_text(second),
                target: strings.add_text(path),
                data: strings.add_text(self.data.clone()),
                flags: a,
                propagations,
                copies_up: self.flags[0],
                is_mapped: self.flags[1],
            },
            StepKind::BindMount => Step::BindMount {
                source: strings.add_text(path),
                target: strings.add_text(other),
                origin: BindOrigin::from_number(u64::from(self.words[4] % 3)).expect("three origins"),
                recursive: self.flags[1],
                nofollow: Nofollow { source: self.flags[0], target: a & 1 != 0 },
                attributes,
                recursive_attributes: Attributes { set: c, clear: d },
                propagations,
            },
            StepKind::SetMountAttributes => Step::SetMountAttributes {
                path: strings.add_text(path),
                recursive: self.flags[1],
                attributes,
            },
            StepKind::MakeDevice => Step::MakeDevice {
                path: strings.add_text(path),
                mode: [0o010_000, 0o020_000, 0o060_000][a as usize % 3] | b & 0o7777,
                major: self.words[4],
                minor: self.words[5],
                uid: c,
                gid: d,
            },
            StepKind::MakeSymlink => Step::MakeSymlink {
                path: strings.add_text(path),
                target: strings.add_text(first),
                exact: self.flags[1],
            },
            StepKind::MakeDirectory => Step::MakeDirectory { path: strings.add_text(path) },
            StepKind::Unmount => {
                Step::Unmount { path: strings.add_text(path), mount: u64::from(c) << 32 | u64::from(d) }
            }
            StepKind::ReadonlyPath => {
                Step::ReadonlyPath { path: strings.add_text(path), recursive: self.flags[0] }
            }
            StepKind::MaskPath => {
                Step::MaskPath { path: strings.add_text(path), data: strings.add_text(first) }
            }
            StepKind::FinishRoot => Step::FinishRoot { readonly: self.flags[0], propagations },
            StepKind::WriteSysctl => {
                Step::WriteSysctl { name: strings.add_text(first), value: strings.add_text(second) }
            }
            StepKind::SetOomScoreAdjust => Step::SetOomScoreAdjust { value: strings.add_text(first) },
            StepKind::SetHostname => Step::SetHostname { name: strings.add_text(first) },
            StepKind::NewTimeNamespace => Step::NewTimeNamespace { offsets: strings.add_text(first) },
            StepKind::SetDomainname => Step::SetDomainname { name: strings.add_text(first) },
            StepKind::NewSessionKeyring => Step::NewSessionKeyring,
            StepKind::SetRlimit => Step::SetRlimit { resource: a, soft, hard },
            StepKind::DropBounding => Step::DropBounding { keep: soft },
            StepKind::BecomeUser => Step::BecomeUser {
                uid: a,
                gid: b,
                groups: strings.add_ids(self.ids.clone()),
                working_directory: strings.add_text(path),
                keep_capabilities: self.flags[0],
                keep_groups: self.flags[1],
            },
            StepKind::SetCapabilities => {
                Step::SetCapabilities { effective: soft, permitted: hard, inheritable, ambient }
            }
            StepKind::SetUmask => Step::SetUmask { umask: a & 0o777 },
            StepKind::SetNoNewPrivileges => Step::SetNoNewPrivileges,
            StepKind::SetScheduler => Step::SetScheduler {
                scheduler: Scheduler {
                    policy: a % 7,
                    flags: b & 0x7f,
                    nice: c.cast_signed(),
                    priority: d,
                    runtime: soft,
                    deadline: hard,
                    period: ambient,
                },
            },
            StepKind::RestrictLandlock => {
                let paths: Vec<String> = self.paths.iter().map(|path| format!("/{path}")).collect();
                let rights = paths.iter().zip(1..).map(|(_, right)| right).collect();
                Step::RestrictLandlock {
                    handled: 0x7f | a & 0xffff,
                    paths: strings.add_texts(paths),
                    rights: strings.add_ids(rights),
                }
            }
            StepKind::SetAppArmorProfile => Step::SetAppArmorProfile { profile: strings.add_text(first) },
            StepKind::SetSelinuxLabel => Step::SetSelinuxLabel { label: strings.add_text(first) },
            StepKind::SetIoPriority => Step::SetIoPriority { class: 1 + a % 3, priority: b % 8 },
            StepKind::OpenConsole => {
                Step::OpenConsole { uid: a, width: b & 0xffff, height: c & 0xffff, bind: self.flags[0] }
            }
            StepKind::SetAffinity => {
                let processors = self.ids.iter().chain([&a]).map(|id| id % PROCESSOR_COUNT_MAX);
                Step::SetAffinity { processors: strings.add_ids(processors.collect()) }
            }
            StepKind::OwnStreams => Step::OwnStreams { uid: a, files: self.flags[0] },
            StepKind::SetPersonality => Step::SetPersonality { domain: a & 8 },
            StepKind::SetMemoryPolicy => Step::SetMemoryPolicy {
                mode: a % 7,
                flags: b & 0xe000,
                nodes: strings.add_ids(self.ids.iter().map(|id| id % NODE_COUNT_MAX).collect()),
            },
            StepKind::RunHook => Step::RunHook {
                index: a,
                path: strings.add_text(path),
                arguments: strings.add_texts(self.texts.to_vec()),
                environment: strings.add_texts(vec![String::new(); b as usize % 3]),
                state: strings.add_texts(self.paths.to_vec()),
                timeout_ms: c,
            },
            StepKind::InstallSeccomp => Step::InstallSeccomp {
                flags: a,
                program: {
                    let ids = self.ids.iter().chain([&b]);
                    strings
                        .add_bytes(ids.flat_map(|id| [id.to_le_bytes(), c.to_le_bytes()].concat()).collect())
                },
            },
        }
    }
}

prop_compose! {
    fn bootstrap()(
        root_change in prop::sample::select(
            vec![RootChange::Pivot, RootChange::Move, RootChange::Chroot, RootChange::Bind, RootChange::Enter],
        ),
        host_left in prop::sample::select(vec![HostLeft::First, HostLeft::BeforeNetwork, HostLeft::BehindViews]),
        initial_propagation in propagation(),
        slots in prop::sample::subsequence(DescriptorSlot::ALL.to_vec(), 0..=DescriptorSlot::ALL.len()),
        flags in any::<[bool; 3]>(),
        home_of in any::<Option<u32>>(),
        loopback_up in any::<bool>(),
        await_hooks in any::<bool>(),
        born_late in any::<bool>(),
        reports_ready in any::<bool>(),
        joined in any::<u32>(),
        unshared in any::<u32>(),
        preserved_count in any::<u32>(),
    ) -> Bootstrap<Stored> {
        Bootstrap {
            root: 0,
            root_change,
            host_left,
            initial_propagation,
            descriptors: slots.into_iter().fold(DescriptorSlots::default(), DescriptorSlots::with),
            await_cgroups: flags[0],
            await_network: flags[1],
            new_cgroup_namespace: flags[2],
            home_of,
            loopback_up,
            await_hooks,
            born_late,
            reports_ready,
            joined: if root_change == RootChange::Enter { joined & JOINED_ALL } else { 0 },
            unshared: unshared & UNSHARED_ALL,
            preserved_count,
        }
    }
}

prop_compose! {
    /// Steps in the order of their phases, without those that would break a rule of the table.
    fn plans()(
        bootstrap in bootstrap(),
        root in path(),
        mut drafts in vec(ingredients(), 0..24),
        arguments in vec(text(), 1..5),
        environment in vec(text(), 0..5),
    ) -> Plan {
        let mut strings = Strings::default();
        strings.add_text(root);
        let mut plan = Plan::new(strings, bootstrap, arguments);
        plan.environment = environment;
        drafts.sort_by_key(Ingredients::phase);
        let kinds = |drafts: &[Ingredients]| {
            drafts.iter().map(|draft| (draft.phase(), draft.kind)).collect::<Vec<_>>()
        };
        while let Some((late, _)) = first_violation(kinds(&drafts).into_iter()) {
            drafts.remove(late);
        }
        for draft in drafts {
            let step = draft.step(&mut plan.strings);
            plan.steps.push(PhasedStep { phase: draft.phase(), step });
        }
        plan
    }
}

/// The same plan with every string as the wire's copy of it shows.
fn check_round_trip(plan: &Plan) {
    let bytes = plan.encode();
    let read = plan::check(&bytes).expect("a plan that keeps the rules is accepted");
    let ascii = |text: String| -> String {
        // One replacement for each byte: the wire counts bytes.
        text.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { '?' }).collect()
    };
    let mut expected = plan.clone();
    expected.map_texts(ascii);
    // As text: steps that borrow from different plans are of different types.
    let shown = |plan: &Plan| plan.message(|message| format!("{message:#?}"));
    assert_eq!(shown(&expected), shown(&read));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn random_plans_come_back_as_they_were(plan in plans()) {
        check_round_trip(&plan);
    }

    #[test]
    fn random_damage_never_panics(
        plan in plans(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = plan.encode();
        for (index, value) in damage {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        let _ = plan::check(&bytes);
    }

    #[test]
    fn random_splices_never_panic(
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        length in 0..200usize,
    ) {
        let mut bytes = sample::full();
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let length = length.min(bytes.len() - from).min(bytes.len() - to);
        bytes.copy_within(from..from + length, to);
        let _ = plan::check(&bytes);
    }
}
