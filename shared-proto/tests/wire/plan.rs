//! A plan that owns its strings, so that what was decoded can be encoded again. The fuzz targets use this file too.

use shared_proto::limits::BUILD_ID_BYTES;
use shared_proto::{
    Bootstrap, Form, Message, PhasedStep, Planned, Refusal, Step, View, Wire, encode, encoded_bytes,
};

/// The build of all tests.
pub(crate) const BUILD_ID: [u8; BUILD_ID_BYTES] = *b"build of tests \xff";

/// Decodes `bytes`. Whatever is accepted must be the one encoding of what it means.
pub(crate) fn check(bytes: &[u8]) -> Result<Plan, Refusal> {
    let view = View::decode(bytes, &BUILD_ID)?;
    let plan = Plan::read(&view);
    assert_eq!(plan.steps.len(), view.step_count(), "steps were lost after decode");
    let text_start = bytes.len() - plan.text_bytes;
    let again = plan.encode();
    assert_eq!(again.len(), bytes.len(), "encoded again, the message has another length");
    for (index, (first, second)) in bytes.iter().zip(&again).enumerate() {
        let is_replaced = index >= text_start && !first.is_ascii() && *second == REPLACEMENT;
        assert!(first == second || is_replaced, "encoded again, byte {index} is {second}, not {first}");
    }
    Ok(plan)
}

/// Encodes a message of steps that live for the call only.
pub(crate) fn encode_message<T: AsRef<[u8]>>(message: &Message<'_, '_, T>) -> Vec<u8> {
    let mut buffer = vec![0xA5; encoded_bytes(message)];
    let used = encode(message, &BUILD_ID, &mut buffer).expect("the message fits");
    assert_eq!(used, buffer.len());
    buffer
}

/// The parent's strings are UTF-8 and the wire's are not: a byte that is no ASCII becomes this one.
const REPLACEMENT: u8 = b'?';

/// Strings and lists as indices into [`Strings`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stored;

impl Form for Stored {
    type Text = usize;
    type Path = usize;
    type Texts = usize;
    type Ids = usize;
    type Bytes = usize;
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Strings {
    texts: Vec<String>,
    lists: Vec<Vec<String>>,
    ids: Vec<Vec<u32>>,
    bytes: Vec<Vec<u8>>,
}

impl Strings {
    pub(crate) fn add_text(&mut self, text: String) -> usize {
        self.texts.push(text);
        self.texts.len() - 1
    }

    pub(crate) fn add_texts(&mut self, list: Vec<String>) -> usize {
        self.lists.push(list);
        self.lists.len() - 1
    }

    pub(crate) fn add_ids(&mut self, ids: Vec<u32>) -> usize {
        self.ids.push(ids);
        self.ids.len() - 1
    }

    pub(crate) fn add_bytes(&mut self, bytes: Vec<u8>) -> usize {
        self.bytes.push(bytes);
        self.bytes.len() - 1
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) strings: Strings,
    pub(crate) bootstrap: Bootstrap<Stored>,
    pub(crate) steps: Vec<PhasedStep<Stored>>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<String>,
    /// Bytes of the text section that this was read from.
    text_bytes: usize,
}

impl Plan {
    pub(crate) fn new(strings: Strings, bootstrap: Bootstrap<Stored>, arguments: Vec<String>) -> Self {
        Plan { strings, bootstrap, steps: Vec::new(), arguments, environment: Vec::new(), text_bytes: 0 }
    }

    /// Copies everything that a view shows.
    pub(crate) fn read(view: &View<'_>) -> Self {
        let mut strings = Strings::default();
        let bootstrap = convert_bootstrap(&view.bootstrap(), &mut strings);
        let mut plan = Plan::new(strings, bootstrap, view.arguments().map(owned).collect());
        plan.steps = view.steps().map(|phased| convert_step(&phased, &mut plan.strings)).collect();
        plan.environment = view.environment().map(owned).collect();
        plan.text_bytes = plan.count_text_bytes();
        plan
    }

    /// Calls `with` with the parent's form of this plan.
    pub(crate) fn message<R>(&self, with: impl FnOnce(&Message<'_, '_, String>) -> R) -> R {
        let mut strings = &self.strings;
        let steps: Vec<PhasedStep<Planned<'_>>> =
            self.steps.iter().map(|phased| convert_step(phased, &mut strings)).collect();
        with(&Message {
            bootstrap: convert_bootstrap(&self.bootstrap, &mut strings),
            steps: &steps,
            arguments: &self.arguments,
            environment: &self.environment,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.message(encode_message)
    }

    /// Changes every string.
    pub(crate) fn map_texts(&mut self, change: impl Fn(String) -> String) {
        let lists = self.strings.lists.iter_mut().flatten();
        let arguments = self.arguments.iter_mut().chain(&mut self.environment);
        for text in self.strings.texts.iter_mut().chain(lists).chain(arguments) {
            *text = change(std::mem::take(text));
        }
    }

    fn count_text_bytes(&self) -> usize {
        let with_nul = |text: &String| text.len() + 1;
        let list_bytes = |list: &Vec<String>| list.iter().map(with_nul).sum::<usize>() + 1;
        let arguments = self.arguments.iter().chain(&self.environment).map(with_nul).sum::<usize>();
        arguments
            + self.strings.texts.iter().map(with_nul).sum::<usize>()
            + self.strings.lists.iter().map(list_bytes).sum::<usize>()
            + self.strings.ids.iter().map(|ids| ids.len() * 4 + 1).sum::<usize>()
            + self.strings.bytes.iter().map(|bytes| bytes.len() + 1).sum::<usize>()
    }
}

fn owned(text: &std::ffi::CStr) -> String {
    let replaced = |byte: &u8| char::from(if byte.is_ascii() { *byte } else { REPLACEMENT });
    text.to_bytes().iter().map(replaced).collect()
}

/// How strings and lists pass from one form into another.
pub(crate) trait Convert<A: Form, B: Form> {
    fn text(&mut self, text: A::Text) -> B::Text;
    fn path(&mut self, path: A::Path) -> B::Path;
    fn texts(&mut self, texts: A::Texts) -> B::Texts;
    fn ids(&mut self, ids: A::Ids) -> B::Ids;
    fn bytes(&mut self, bytes: A::Bytes) -> B::Bytes;
}

impl<'a> Convert<Wire<'a>, Stored> for Strings {
    fn text(&mut self, text: <Wire<'a> as Form>::Text) -> usize {
        self.add_text(owned(text))
    }

    fn path(&mut self, path: <Wire<'a> as Form>::Path) -> usize {
        self.add_text(owned(path))
    }

    fn texts(&mut self, texts: <Wire<'a> as Form>::Texts) -> usize {
        self.add_texts(texts.iter().map(owned).collect())
    }

    fn ids(&mut self, ids: <Wire<'a> as Form>::Ids) -> usize {
        self.add_ids(ids.iter().map(|id| id.get()).collect())
    }

    fn bytes(&mut self, bytes: &'a [u8]) -> usize {
        self.add_bytes(bytes.to_vec())
    }
}

impl<'a> Convert<Stored, Planned<'a>> for &'a Strings {
    fn text(&mut self, text: usize) -> &'a str {
        &self.texts[text]
    }

    fn path(&mut self, path: usize) -> &'a [u8] {
        self.texts[path].as_bytes()
    }

    fn texts(&mut self, texts: usize) -> &'a [String] {
        &self.lists[texts]
    }

    fn ids(&mut self, ids: usize) -> &'a [u32] {
        &self.ids[ids]
    }

    fn bytes(&mut self, bytes: usize) -> &'a [u8] {
        &self.bytes[bytes]
    }
}

fn convert_bootstrap<A: Form, B: Form>(from: &Bootstrap<A>, to: &mut impl Convert<A, B>) -> Bootstrap<B> {
    let &Bootstrap {
        root,
        root_change,
        host_left,
        initial_propagation,
        descriptors,
        await_cgroups,
        await_network,
        new_cgroup_namespace,
        home_of,
        loopback_up,
        await_hooks,
        born_late,
        reports_ready,
        joined,
        unshared,
        preserved_count,
    } = from;
    Bootstrap {
        root: to.text(root),
        root_change,
        host_left,
        initial_propagation,
        descriptors,
        await_cgroups,
        await_network,
        new_cgroup_namespace,
        home_of,
        loopback_up,
        await_hooks,
        born_late,
        reports_ready,
        joined,
        unshared,
        preserved_count,
    }
}

fn convert_step<A: Form, B: Form>(from: &PhasedStep<A>, to: &mut impl Convert<A, B>) -> PhasedStep<B> {
    let step = match from.step {
        Step::MountFilesystem { fstype, source, target, data, flags, propagations, copies_up, is_mapped } => {
            Step::MountFilesystem {
                fstype: to.text(fstype),
                source: to.text(source),
                target: to.text(target),
                data: to.text(data),
                flags,
                propagations,
                copies_up,
                is_mapped,
            }
        }
        Step::BindMount {
            source,
            target,
            origin,
            recursive,
            nofollow,
            attributes,
            recursive_attributes,
            propagations,
        } => Step::BindMount {
            source: to.text(source),
            target: to.text(target),
            origin,
            recursive,
            nofollow,
            attributes,
            recursive_attributes,
            propagations,
        },
        Step::SetMountAttributes { path, recursive, attributes } => {
            Step::SetMountAttributes { path: to.text(path), recursive, attributes }
        }
        Step::MakeDevice { path, mode, major, minor, uid, gid } => {
            Step::MakeDevice { path: to.text(path), mode, major, minor, uid, gid }
        }
        Step::MakeSymlink { path, target, exact } => {
            Step::MakeSymlink { path: to.text(path), target: to.text(target), exact }
        }
        Step::MakeDirectory { path } => Step::MakeDirectory { path: to.text(path) },
        Step::Unmount { path, mount } => Step::Unmount { path: to.text(path), mount },
        Step::ReadonlyPath { path, recursive } => Step::ReadonlyPath { path: to.text(path), recursive },
        Step::MaskPath { path, data } => Step::MaskPath { path: to.text(path), data: to.text(data) },
        Step::FinishRoot { readonly, propagations } => Step::FinishRoot { readonly, propagations },
        Step::WriteSysctl { name, value } => Step::WriteSysctl { name: to.text(name), value: to.text(value) },
        Step::SetOomScoreAdjust { value } => Step::SetOomScoreAdjust { value: to.text(value) },
        Step::SetHostname { name } => Step::SetHostname { name: to.text(name) },
        Step::SetDomainname { name } => Step::SetDomainname { name: to.text(name) },
        Step::NewSessionKeyring => Step::NewSessionKeyring,
        Step::SetRlimit { resource, soft, hard } => Step::SetRlimit { resource, soft, hard },
        Step::DropBounding { keep } => Step::DropBounding { keep },
        Step::BecomeUser { uid, gid, groups, working_directory, keep_capabilities, keep_groups } => {
            Step::BecomeUser {
                uid,
                gid,
                groups: to.ids(groups),
                working_directory: to.path(working_directory),
                keep_capabilities,
                keep_groups,
            }
        }
        Step::SetCapabilities { effective, permitted, inheritable, ambient } => {
            Step::SetCapabilities { effective, permitted, inheritable, ambient }
        }
        Step::SetUmask { umask } => Step::SetUmask { umask },
        Step::SetNoNewPrivileges => Step::SetNoNewPrivileges,
        Step::NewTimeNamespace { offsets } => Step::NewTimeNamespace { offsets: to.text(offsets) },
        Step::SetScheduler { scheduler } => Step::SetScheduler { scheduler },
        Step::SetIoPriority { class, priority } => Step::SetIoPriority { class, priority },
        Step::SetPersonality { domain } => Step::SetPersonality { domain },
        Step::OpenConsole { uid, width, height, bind } => Step::OpenConsole { uid, width, height, bind },
        Step::SetAffinity { processors } => Step::SetAffinity { processors: to.ids(processors) },
        Step::OwnStreams { uid, files } => Step::OwnStreams { uid, files },
        Step::SetMemoryPolicy { mode, flags, nodes } => {
            Step::SetMemoryPolicy { mode, flags, nodes: to.ids(nodes) }
        }
        Step::RestrictLandlock { handled, paths, rights } => {
            Step::RestrictLandlock { handled, paths: to.texts(paths), rights: to.ids(rights) }
        }
        Step::SetAppArmorProfile { profile } => Step::SetAppArmorProfile { profile: to.text(profile) },
        Step::SetSelinuxLabel { label } => Step::SetSelinuxLabel { label: to.text(label) },
        Step::RunHook { index, path, arguments, environment, state, timeout_ms } => Step::RunHook {
            index,
            path: to.text(path),
            arguments: to.texts(arguments),
            environment: to.texts(environment),
            state: to.texts(state),
            timeout_ms,
        },
        Step::InstallSeccomp { flags, program } => Step::InstallSeccomp { flags, program: to.bytes(program) },
    };
    PhasedStep { phase: from.phase, step }
}
