//! Step kind → function. One file per feature, named as the plan's.

mod capabilities;
mod console;
mod copy;
mod detached;
mod devices;
mod hostname;
mod identity;
mod landlock;
mod live_mounts;
mod lsm;
pub(crate) mod masks;
mod mounts;
mod proc;
mod rlimits;
mod scheduling;
mod seccomp;
mod sysctl;
mod time;

use core::ffi::CStr;

use shared_proto::{Call, Report, Step, Wire};

use crate::kernel::{At, Descriptor, Fault, Kernel, Open};
use crate::paths;
use crate::receive::{DescriptorList, Lasting, Received};
use crate::root::Root;

pub(crate) use console::own_null;
pub(crate) use mounts::is_strict;

/// What steps work on. Descriptors in it are caches of one start, never results that a later step needs.
pub(crate) struct Context<'k, K: Kernel> {
    pub(crate) kernel: &'k mut K,
    pub(crate) lasting: &'k mut Lasting,
    /// The parent, for warnings; after a `Hold` that of the process which calls `start`.
    socket: Descriptor,
    pub(crate) root: Root<'k>,
    pub(crate) step_index: u32,
    /// Numbers from here on are of descriptors that one step opened for itself, or of the caches below.
    first_temporary: Descriptor,
    steps_since_sweep: u32,
    /// The next of `root.sources`: bind steps take them in order.
    next_source: usize,
    /// Trees that the parent sent for its own bind steps.
    trees: DescriptorList,
    next_tree: usize,
    /// A private procfs (see `proc.rs`).
    proc: Option<Descriptor>,
    /// The parent's, until the container waits for its start.
    parents_proc: Option<Descriptor>,
    /// The container's verified /dev/null.
    null: Option<Descriptor>,
    /// The container's procfs, and what is in it.
    procfs: Option<masks::Procfs>,
    /// A symlink of the image has led a mount: it lies not where its path says.
    pub(crate) has_led_elsewhere: bool,
    /// Steps from this one on that can wait do so until the last mount is there (`postponed.rs`).
    pub(crate) postponed_from: Option<u32>,
    /// The last mount is still to come.
    pub(crate) awaits_mounts: bool,
    /// It has come in the meantime: below what is to be covered may be mounts.
    pub(crate) has_waited: bool,
    /// An empty read-only tmpfs, and with which data it was mounted.
    empty: Option<(Descriptor, &'static CStr)>,
    /// The directory in which the last mount, node or link was made, with its path: /dev takes a dozen in a row.
    directory: Option<(&'static [u8], Descriptor)>,
    /// The outermost tmpfs of those mounted last: there is nothing in it but what steps have made.
    fresh: Option<&'static CStr>,
    /// This process is the copy that executes a hook.
    pub(crate) is_hook: bool,
    /// Where the last mount was made from.
    working_directory: Option<Descriptor>,
    /// Somebody else has made the user namespace.
    pub(crate) joined_user_namespace: bool,
    /// The container runs already.
    pub(crate) is_live: bool,
}

impl<'k, K: Kernel> Context<'k, K> {
    pub(crate) fn new(
        (kernel, lasting): (&'k mut K, &'k mut Lasting),
        socket: Descriptor,
        root: Root<'k>,
        parents_proc: Option<Descriptor>,
        first_temporary: Descriptor,
    ) -> Self {
        Self {
            kernel,
            lasting,
            socket,
            root,
            step_index: 0,
            first_temporary,
            steps_since_sweep: 0,
            next_source: 0,
            trees: DescriptorList::new(),
            next_tree: 0,
            proc: None,
            parents_proc,
            null: None,
            procfs: None,
            has_led_elsewhere: false,
            postponed_from: None,
            awaits_mounts: true,
            has_waited: false,
            empty: None,
            directory: None,
            fresh: None,
            is_hook: false,
            working_directory: None,
            joined_user_namespace: false,
            is_live: false,
        }
    }

    /// Who hears of what goes wrong.
    pub(crate) fn answer(&self) -> Descriptor {
        self.socket
    }

    /// From now on reports of steps go to whoever started the program.
    pub(crate) fn answer_to(&mut self, socket: Descriptor) {
        self.socket = socket;
    }

    /// Keeps the parent's trees until their steps mount them.
    pub(crate) fn take_trees(&mut self, trees: DescriptorList) {
        // They came after everything that steps have opened: a sweep must not close them.
        if let Some(highest) = trees.iter().max() {
            self.first_temporary = self.first_temporary.max(highest.next());
        }
        self.trees = trees;
    }

    /// Closes all that a container does not need which waits for its start: what steps have opened, the parent's trees among it, the sources of
    /// bind mounts, and the namespaces that were joined. What is left is in `kept`, and the root.
    pub(crate) fn close_for_wait(&mut self, received: &Received, kept: [Descriptor; 2]) -> Result<(), Fault> {
        let done = self.root.sources.iter().copied().flatten().chain(received.descriptors());
        for descriptor in done.filter(|done| !kept.contains(done) && *done != self.root.new) {
            self.kernel.close(descriptor);
        }
        self.root.sources.clear();
        self.parents_proc = None;
        self.first_temporary = kept.into_iter().fold(self.root.new, Descriptor::max).next();
        self.close_all()
    }

    /// The parent, for what it is to get.
    fn send_descriptor(&mut self, report: Report, descriptor: Descriptor) -> Result<(), Fault> {
        self.kernel.send_descriptor(self.socket, &report.encode(), descriptor).at(Call::Send)
    }

    /// The directory of `path`, made if it is missing, and the last component.
    fn parent(&mut self, path: &'static CStr) -> Result<(Descriptor, &'static CStr), Fault> {
        let (directory_path, name) = paths::split(path);
        if let Some((cached, directory)) = self.directory
            && cached == directory_path
        {
            return Ok((directory, name));
        }
        let directory = paths::open_or_make_directory(self.kernel, self.root.new, directory_path)?;
        self.directory = Some((directory_path, directory));
        Ok((directory, name))
    }

    /// A mount at `path` may have covered the cached directory and the fresh one, unless it lies inside them, and the procfs. An empty one is a new
    /// tmpfs.
    fn mounted(&mut self, path: &'static CStr, is_empty: bool) {
        self.procfs = None;
        self.directory = self.directory.filter(|(directory, _)| paths::split(path).0 == *directory);
        if !self.is_fresh(path) {
            self.fresh = (is_empty && !self.root.is_shared).then_some(path);
        }
    }

    /// Whether `path` lies right in a tmpfs that steps have mounted.
    fn is_fresh(&self, path: &CStr) -> bool {
        self.fresh.is_some_and(|fresh| is_directory_of(path, fresh))
    }

    /// The cached directory, if it is at `path`.
    fn directory_at(&self, path: &CStr) -> Option<Descriptor> {
        let (cached, directory) = self.directory?;
        (cached.strip_suffix(b"/") == Some(path.to_bytes())).then_some(directory)
    }

    /// Makes `directory` the working directory.
    fn go_to(&mut self, directory: Descriptor) -> Result<(), Fault> {
        if self.working_directory != Some(directory) {
            self.kernel.change_directory_to(directory).at(Call::ChangeDirectory)?;
            self.working_directory = Some(directory);
        }
        Ok(())
    }

    /// The working directory is not that of the last mount any more.
    pub(crate) fn has_gone_elsewhere(&mut self) {
        self.working_directory = None;
    }

    /// Closes what steps have left open. One by one that would be a seventh of all system calls of a start, for descriptors that end
    /// with stage1 anyway; so it is done all at once, and only in plans that are so long that the numbers might run out.
    pub(crate) fn sweep(&mut self) -> Result<(), Fault> {
        self.steps_since_sweep += 1;
        if self.steps_since_sweep < STEPS_BETWEEN_SWEEPS {
            return Ok(());
        }
        self.close_all()
    }

    /// Lets go of all mounts but the root: hooks may unmount them.
    pub(crate) fn let_go_of_mounts(&mut self) -> Result<(), Fault> {
        for tree in self.root.sources.iter().flatten().chain(&self.trees) {
            self.kernel.close(*tree);
        }
        self.root.sources.clear();
        self.trees.clear();
        self.close_all()?;
        self.go_to(self.root.new)
    }

    /// Closes every descriptor of steps, cached ones included: nothing of them is needed while the container waits for its start.
    pub(crate) fn close_all(&mut self) -> Result<(), Fault> {
        self.steps_since_sweep = 0;
        (self.proc, self.null, self.directory) = (None, None, None);
        (self.procfs, self.empty) = (None, None);
        self.working_directory = None;
        self.kernel.close_from(self.first_temporary).at(Call::CloseRange)
    }
}

/// Whether `directory` is where the last component of `path` lies.
fn is_directory_of(path: &CStr, directory: &CStr) -> bool {
    paths::split(path).0.strip_suffix(b"/") == Some(directory.to_bytes())
}

/// A step leaves at most some five descriptors open; with this many the usual limit of 1024 is far.
const STEPS_BETWEEN_SWEEPS: u32 = 96;

/// Carries out one step.
pub(crate) fn run<K: Kernel>(context: &mut Context<'_, K>, step: &Step<Wire<'static>>) -> Result<(), Fault> {
    match *step {
        Step::MountFilesystem { fstype, source, target, data, flags, propagations, copies_up, is_mapped } => {
            let filesystem = mounts::Filesystem { fstype, source, flags, data, copies_up, is_mapped };
            mounts::filesystem(context, &filesystem, target, propagations)
        }
        Step::BindMount {
            target, origin, nofollow, attributes, recursive_attributes, propagations, ..
        } => {
            let tree = mounts::source_tree(context, origin)?;
            let target = (target, Open::place(nofollow.target));
            let attributes = [(attributes, false), (recursive_attributes, true)];
            mounts::bind(context, (tree, origin), target, attributes, propagations)
        }
        Step::SetMountAttributes { path, recursive, attributes } => {
            mounts::set_attributes(context, path, recursive, attributes)
        }
        Step::MakeDevice { path, mode, major, minor, uid, gid } => {
            devices::node(context, path, &devices::Node { mode, major, minor, uid, gid })
        }
        Step::MakeSymlink { path, target, exact } => devices::symlink(context, path, target, exact),
        Step::MakeDirectory { path } => mounts::directory(context, path),
        Step::Unmount { path, mount } => live_mounts::unmount(context, path, mount),
        Step::ReadonlyPath { path, recursive } => masks::readonly(context, path, recursive),
        Step::MaskPath { path, data } => masks::mask(context, path, data),
        Step::FinishRoot { readonly, propagations } => mounts::finish_root(context, readonly, propagations),
        Step::WriteSysctl { name, value } => sysctl::write(context, name, value),
        Step::SetOomScoreAdjust { value } => sysctl::oom_score_adjust(context, value),
        Step::SetHostname { name } => hostname::hostname(context.kernel, name),
        Step::SetDomainname { name } => hostname::domainname(context.kernel, name),
        Step::NewSessionKeyring => identity::session_keyring(context.kernel),
        Step::SetRlimit { resource, soft, hard } => rlimits::set(context.kernel, resource, soft, hard),
        Step::DropBounding { keep } => capabilities::drop_bounding(context.kernel, keep),
        Step::BecomeUser { uid, gid, groups, working_directory, keep_capabilities, keep_groups } => {
            let may_keep_groups = context.joined_user_namespace;
            let user = identity::User { uid, gid, groups, keep_capabilities, keep_groups, may_keep_groups };
            identity::become_user(context.kernel, &user, working_directory)
        }
        Step::SetCapabilities { effective, permitted, inheritable, ambient } => {
            let sets = capabilities::Sets { effective, permitted, inheritable, ambient };
            capabilities::set(context, &sets)
        }
        Step::SetUmask { umask } => {
            context.kernel.set_umask(umask);
            Ok(())
        }
        Step::NewTimeNamespace { offsets } => time::new_namespace(context, offsets),
        Step::SetNoNewPrivileges => capabilities::no_new_privileges(context.kernel),
        Step::SetScheduler { scheduler } => scheduling::scheduler(context.kernel, &scheduler),
        Step::SetIoPriority { class, priority } => scheduling::io_priority(context.kernel, class, priority),
        Step::SetPersonality { domain } => scheduling::personality(context.kernel, domain),
        Step::SetMemoryPolicy { mode, flags, nodes } => {
            scheduling::memory_policy(context.kernel, mode, flags, nodes)
        }
        Step::SetAppArmorProfile { profile } => lsm::apparmor_profile(context, profile),
        Step::RestrictLandlock { handled, paths, rights } => {
            landlock::restrict(context, handled, paths, rights)
        }
        Step::SetSelinuxLabel { label } => lsm::selinux_label(context, label),
        // The skeleton runs hooks, which are processes (`hooks.rs`).
        Step::RunHook { .. } => Ok(()),
        Step::OpenConsole { uid, width, height, bind } => {
            // The decoder has refused what is wider than that.
            console::open(context, &console::Console { uid, size: (width as u16, height as u16), bind })
        }
        Step::SetAffinity { processors } => scheduling::affinity(context.kernel, processors),
        Step::OwnStreams { uid, files } => console::own_streams(context.kernel, uid, files),
        Step::InstallSeccomp { flags, program } => seccomp::install(context, flags, program),
    }
}
