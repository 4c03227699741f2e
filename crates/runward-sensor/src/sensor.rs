use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use libbpf_rs::libbpf_sys;
use libbpf_rs::{Iter, MapCore, MapFlags, MapHandle, Object, RingBuffer, RingBufferBuilder};
use runward_event::{
    Body, ConnectClose, ConnectOutcome, ConnectionId, EventKind, LossReason, ProcessId, Tier,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::SensorError;
use crate::abi::{
    self, rw_adopted, rw_engine_client, rw_flow, rw_flow_key, rw_introduction, rw_kind, rw_loss,
    rw_strange_socket, rw_task,
};
use crate::adopt;
use crate::capabilities;
use crate::clock::Clock;
use crate::decode::{ContainerStart, Decoder, MountCall, Record, SensorEvent};
use crate::fence::{Fence, FenceRules};
use crate::listed::Listed;
use crate::load::{self, Loaded, MemorySight, Protection, Setup, SocketTagging};
use crate::lockdown::{Bans, Lockdown};
use crate::netns;
use crate::peer::Peer;
use crate::pins::{Pins, StillRunning, all_tracked, leftovers, tracked};
use crate::reset::{self, Stream};

/// How a sensor is set up.
#[derive(Clone, Copy, Debug)]
pub struct SensorOptions {
    /// The size of the ring between the kernel and the reader, in bytes: a power of two. What does not fit is
    /// counted as lost.
    pub ring_bytes: u32,
    /// Whether a job is going to be fenced: then the programs are pinned, and outlive this process if it is killed.
    pub fence: bool,
    /// Whether a job is going to be in lockdown.
    pub lockdown: bool,
    /// Whether a job is going to begin with processes that run already.
    pub adopts: bool,
    /// Room for the entries of a block list ([`Listed::room`](crate::Listed::room)); 0 when there is none.
    pub listed: u32,
}

impl Default for SensorOptions {
    fn default() -> SensorOptions {
        // A process start takes about 5 KB, most of it environment: room for nearly 3,000 of them between two drains.
        SensorOptions {
            ring_bytes: 16 << 20,
            fence: false,
            lockdown: false,
            adopts: false,
            listed: 0,
        }
    }
}

/// How often a task's storage is written to when others do so, too.
const STORE_ATTEMPTS: u32 = 64;
/// How often all processes are looked at for those of a job that is to end: one that makes others faster is looked at
/// again.
const END_LOOKS: usize = 200;
/// How long to wait before another look.
const BREATH: std::time::Duration = std::time::Duration::from_millis(5);
/// How many events one drain takes at most, so that a storm cannot fill the reader's memory.
const BATCH: usize = 4096;
/// Sockets with unconnected peers that are remembered until they close.
const FLOW_SOCKETS_MAX: usize = 65_536;
/// Rows of sockets that are read at once.
const SOCKET_ROWS: usize = 512;
/// Sockets that the fence can't follow and that are told of.
const STRANGE_SOCKETS_MAX: usize = 64;
/// Namespaces that are remembered between two drains; one that is left out is told again at its next use.
const NAMESPACES_MAX: usize = 256;
/// How many calls that mount something are kept until somebody asks.
const MOUNT_CALLS_MAX: usize = 256;
const CONTAINERS_MAX: usize = 256;

/// The BPF half of the sensor: loaded, attached, and watching the jobs that were started.
///
/// Dropping it detaches every program, and nothing stays behind; but for a fence whose job still has processes: see
/// [`own_leftovers`](crate::own_leftovers).
pub struct Sensor {
    ring: RingBuffer<'static>,
    inbox: Rc<RefCell<Inbox>>,
    tasks: MapHandle,
    flows: MapHandle,
    losses: MapHandle,
    known_losses: HashMap<(EventKind, LossReason), u64>,
    flow_sockets: HashMap<u64, Vec<rw_flow_key>>,
    next_process: u64,
    namespaces: Vec<NamespaceUse>,
    mount_calls: Vec<MountCall>,
    containers: Vec<ContainerStart>,
    tier: Tier,
    sees_memory: bool,
    // Last, so that nothing above outlives the programs.
    loaded: Loaded,
    pins: Option<Pins>,
}

/// A fenced job is in a network namespace that its resolver does not listen in yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceUse {
    /// The job.
    pub job: u64,
    /// A process that is in it.
    pub pid: u32,
    /// The kernel's cookie of the namespace.
    pub netns: u64,
}

/// Who is connected to daemons that start containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineClients {
    /// No process of the job.
    NotThisJob,
    /// Processes of the job, and nobody else.
    ThisJob,
    /// Others, too.
    AndOthers,
}

/// A socket of a fenced job whose packets the fence can't judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrangeSocket {
    /// A process that has it.
    pub pid: u32,
    /// Its family's number (linux/socket.h).
    pub family: u32,
}

/// Events of one kind that were lost since the last time somebody asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The kind.
    pub kind: EventKind,
    /// Why.
    pub reason: LossReason,
    /// How many.
    pub count: u64,
}

#[derive(Default)]
struct Inbox {
    decoder: Decoder,
    records: VecDeque<Record>,
}

impl Sensor {
    /// Loads the programs into the kernel and attaches them.
    pub fn open(options: SensorOptions) -> Result<Sensor, SensorError> {
        capabilities::check_machine()?;
        let since = Clock::new().wall(Clock::boot_ns());
        let tagging = if capabilities::task_storage_in_cgroup_hooks() {
            SocketTagging::CgroupHooks
        } else {
            SocketTagging::Trampolines
        };
        let tier = capabilities::tier();
        let memory = capabilities::memory(tier);
        let setup = Setup {
            tagging,
            memory,
            mounts: capabilities::mounts().is_ok(),
            ring_bytes: options.ring_bytes,
            listed: options.listed,
            fence: options.fence.then(|| match tier {
                Tier::A => Protection::Refuse,
                Tier::B => Protection::Watch(capabilities::watches()),
            }),
            lockdown: options.lockdown.then_some(tier == Tier::A),
            adopts: options.adopts,
        };
        let pins = options.fence.then(Pins::create).transpose()?;
        let loaded = load::load(&setup, pins.as_ref())?;
        let mut tasks = load::map(&loaded.object, "tasks")?;
        if let Some(pins) = &pins {
            let mut variables = load::variables(&loaded.object)?;
            let mut fences = load::map(&loaded.object, "fences")?;
            pins.maps(&mut tasks, &mut variables, &mut fences)?;
            load::introduce(&loaded.object, rw_introduction::RW_INTRODUCE_AGENT)?;
            protect(
                &loaded.object,
                rw_introduction::RW_INTRODUCE_PINS,
                pins.folder(),
            )?;
            pins.give_away()?;
        }
        let inbox = Rc::new(RefCell::new(Inbox {
            decoder: Decoder::new(since),
            records: VecDeque::new(),
        }));
        let ring = {
            let events = load::map(&loaded.object, "events")?;
            let inbox = Rc::clone(&inbox);
            let mut builder = RingBufferBuilder::new();
            builder
                .add(&events, move |bytes| {
                    let Inbox { decoder, records } = &mut *inbox.borrow_mut();
                    decoder.record(bytes, &mut |record| records.push_back(record));
                    0
                })
                .map_err(SensorError::Ring)?;
            builder.build().map_err(SensorError::Ring)?
        };
        Ok(Sensor {
            ring,
            inbox,
            tasks,
            flows: load::map(&loaded.object, "flows")?,
            losses: load::map(&loaded.object, "losses")?,
            known_losses: HashMap::new(),
            flow_sockets: HashMap::new(),
            next_process: 1,
            namespaces: Vec::new(),
            mount_calls: Vec::new(),
            containers: Vec::new(),
            tier,
            sees_memory: memory != MemorySight::Nothing,
            loaded,
            pins,
        })
    }

    /// Whether events of programs that start carry their environments from now on.
    pub fn tell_environments(&mut self, wanted: bool) {
        self.inbox.borrow_mut().decoder.tells_environments = wanted;
    }

    fn tells_environments(&self) -> bool {
        self.inbox.borrow().decoder.tells_environments
    }

    /// What this kernel allows.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Readable when many events wait. Few are left to the caller's timer.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor belongs to `self.ring`, which lives as long as the borrow of `self`. libbpf-rs offers
        // it as a number only.
        unsafe { BorrowedFd::borrow_raw(self.ring.epoll_fd()) }
    }

    /// Puts a process into a job: everything that it starts from now on belongs to it.
    ///
    /// The process must have one thread and must not run code of the job yet. `job` is any number but 0.
    pub fn start_job(&mut self, job: u64, pid: u32) -> Result<ProcessId, SensorError> {
        let track = |source| SensorError::Track { pid, source };
        let handle = Pid::from_raw(pid.cast_signed())
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .map_err(|errno| track(errno.into()))?;
        self.place(job, handle.as_fd(), pid)
    }

    fn place(
        &mut self,
        job: u64,
        handle: BorrowedFd<'_>,
        pid: u32,
    ) -> Result<ProcessId, SensorError> {
        let process = ProcessId(self.next_process);
        self.next_process += 1;
        let place = rw_task {
            job,
            process: process.0,
            ..rw_task::default()
        };
        store(&self.tasks, handle, abi::bytes_of(&place)).map_err(|error| SensorError::Track {
            pid,
            source: std::io::Error::other(error),
        })?;
        Ok(process)
    }

    /// Puts a process that runs already into a job, with all its threads and all that it has started; what they start from
    /// now on belongs to the job as well. The sensor must have been opened for it.
    ///
    /// The threads in `spared` stay outside, and so does what they start. Returns the events that tell of those processes
    /// what can still be seen.
    pub fn adopt_job(
        &mut self,
        job: u64,
        root: BorrowedFd<'_>,
        root_pid: u32,
        spared: &[BorrowedFd<'_>],
    ) -> Result<Vec<SensorEvent>, SensorError> {
        let map = load::map(&self.loaded.object, "spared")?;
        for task in spared {
            match store(&map, *task, &1u32.to_ne_bytes()) {
                // Who has ended starts nothing any more.
                Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => {}
                stored => stored.map_err(|source| SensorError::Map {
                    map: "spared",
                    source,
                })?,
            }
        }
        let process = self.place(job, root, root_pid)?;
        let walk = self.loaded.descendants.as_ref();
        let walk = walk.ok_or(SensorError::Object("adopt_descendants"))?;
        let rows = adopt::descendants(walk)?;
        let first = rw_adopted {
            job,
            process: process.0,
            pid: root_pid,
            ..rw_adopted::default()
        };
        let rows = std::iter::once(first).chain(rows);
        let mut told = Vec::new();
        for row in rows.filter(|row| row.job == job && row.pid != 0) {
            let boot_ns = Clock::boot_ns();
            let environment = self
                .tells_environments()
                .then(|| adopt::environment(row.pid));
            let bodies = adopt::describe(&row, &self.tasks);
            if bodies.is_empty() {
                // Only of the root nothing but its program is told.
                return Err(SensorError::Adopt {
                    source: std::io::Error::other("the first of them has ended"),
                });
            }
            told.extend(bodies.into_iter().map(|body| SensorEvent {
                job: Some(job),
                boot_ns,
                body,
                environment: environment.clone().flatten(),
            }));
        }
        Ok(told)
    }

    /// Who stands behind the fence of an agent that is gone, together with this process, and is in no job of this sensor.
    pub fn strays(&self, pid: u32) -> Result<Vec<(u32, OwnedFd)>, SensorError> {
        let failed = |source| SensorError::Adopt { source };
        let mut strays = Vec::new();
        for leftover in leftovers().map_err(failed)? {
            let StillRunning::Processes(pids) = &leftover.running else {
                continue;
            };
            if !pids.contains(&pid) {
                continue;
            }
            for pid in pids {
                // The handle first: what is seen then is of that process.
                let handle = Pid::from_raw(pid.cast_signed())
                    .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
                let is_in = self.has(*pid)?;
                strays.extend(handle.filter(|_| !is_in).map(|handle| (*pid, handle)));
            }
        }
        Ok(strays)
    }

    /// Whether a process is in a job of this sensor.
    pub fn has(&self, pid: u32) -> Result<bool, SensorError> {
        let tracked = tracked(&self.tasks, pid).map_err(|source| SensorError::Adopt { source })?;
        Ok(tracked.is_some())
    }

    /// What the kernel says of the process at the other end of a stream of the UNIX domain.
    pub fn peer(&self, stream: BorrowedFd<'_>) -> std::io::Result<Peer> {
        Peer::of(stream, &self.tasks)
    }

    /// Ends every process of all jobs of this sensor. Returns whether none is left.
    pub fn end_jobs(&self) -> std::io::Result<bool> {
        for _ in 0..END_LOOKS {
            let pids = all_tracked(&self.tasks)?;
            if pids.is_empty() {
                return Ok(true);
            }
            for pid in pids {
                // It is the job's as long as the handle is open; whoever has ended meanwhile needs no signal.
                if let Some(process) = tracked(&self.tasks, pid)? {
                    let _ = pidfd_send_signal(&process, Signal::KILL);
                }
            }
            std::thread::sleep(BREATH);
        }
        Ok(false)
    }

    /// Takes the fence down even where processes still need it. For a job that is not going to begin.
    pub fn discard(mut self) {
        if let Some(pins) = &mut self.pins {
            pins.discard();
        }
    }

    /// Fences a job that has not started yet: from its first instruction on, it reaches what the rules allow and nothing
    /// else. The sensor must have been opened for it.
    pub fn fence(&mut self, job: u64, rules: &FenceRules) -> Result<Fence, SensorError> {
        let fence = Fence::open(&self.loaded.object, job)?;
        fence.raise(rules)?;
        Ok(fence)
    }

    /// Readies a job that has not started yet for its end: see [`Lockdown`]. The sensor must have been opened for it, and it
    /// takes one.
    pub fn lock_down(
        &mut self,
        job: u64,
        bans: Bans,
        runners: &[&str],
    ) -> Result<Lockdown, SensorError> {
        let link = self.loaded.condemned.take();
        let link = link.ok_or(SensorError::Object("lockdown"))?;
        let lockdown = Lockdown::open(&self.loaded.object, job, link)?;
        lockdown.arm(bans, runners)?;
        Ok(lockdown)
    }

    /// Whether this kernel shows that a job reaches into other processes.
    pub fn sees_memory(&self) -> bool {
        self.sees_memory
    }

    /// Keeps every job from destinations, in audit mode too. The sensor must have been opened with room for them.
    pub fn block(&self, listed: &Listed) -> Result<(), SensorError> {
        listed.fill(&self.loaded.object)
    }

    /// Keeps fenced jobs from changing what is in this folder, where the kernel can refuse that. It must not be removed
    /// while the sensor is open. One folder: the last one counts.
    pub fn protect_report(&self, folder: &Path) -> Result<(), SensorError> {
        protect(
            &self.loaded.object,
            rw_introduction::RW_INTRODUCE_REPORT,
            folder,
        )
    }

    /// Takes hold of sockets that fenced jobs have without having made them: inherited, or handed over. What they send is
    /// judged from then on. Returns those that the fence can't follow.
    pub fn tag_open_sockets(&self) -> Result<Vec<StrangeSocket>, SensorError> {
        let Some(link) = &self.loaded.open_sockets else {
            return Ok(Vec::new());
        };
        let failed = |source| SensorError::OpenSockets { source };
        let mut walk = Iter::new(link).map_err(|error| failed(std::io::Error::other(error)))?;
        let mut strange = Vec::new();
        let mut bytes = [0; SOCKET_ROWS * size_of::<rw_strange_socket>()];
        // The kernel hands out whole rows, and reading is what makes it walk.
        loop {
            let taken = walk.read(&mut bytes).map_err(failed)?;
            if taken == 0 {
                return Ok(strange);
            }
            let mut rest = bytes.get(..taken).unwrap_or(&bytes);
            while let Some((row, after)) = abi::read::<rw_strange_socket>(rest) {
                rest = after;
                if strange.len() < STRANGE_SOCKETS_MAX {
                    strange.push(StrangeSocket {
                        pid: row.pid,
                        family: row.family,
                    });
                }
            }
        }
    }

    /// Network namespaces without a resolver that fenced jobs were seen in since the last call.
    pub fn take_namespaces(&mut self) -> Vec<NamespaceUse> {
        std::mem::take(&mut self.namespaces)
    }

    /// Calls that mount something since the last call of this.
    pub fn take_mount_calls(&mut self) -> Vec<MountCall> {
        std::mem::take(&mut self.mount_calls)
    }

    /// What was started since the last call of this by processes that look after containers, and is in no job.
    pub fn take_containers(&mut self) -> Vec<ContainerStart> {
        std::mem::take(&mut self.containers)
    }

    /// Has the container that a process looks after begin in a job, with its first instruction. Where the kernel does not
    /// take that, [`Sensor::take_containers`] tells of one that is not in the job.
    pub fn expect_container(&self, job: u64, keeper: u32) {
        if let Ok(keepers) = load::map(&self.loaded.object, "keepers") {
            let _ = keepers.update(&keeper.to_ne_bytes(), &job.to_ne_bytes(), MapFlags::ANY);
        }
    }

    /// Expects none any more.
    pub fn expect_no_container(&self, keeper: u32) {
        if let Ok(keepers) = load::map(&self.loaded.object, "keepers") {
            // It may have been forgotten for others.
            let _ = keepers.delete(&keeper.to_ne_bytes());
        }
    }

    /// Who is connected to daemons that start containers: any of them, for which one starts a container can't be told.
    pub fn engine_clients(&self, job: u64) -> Result<EngineClients, SensorError> {
        let failed = |source| SensorError::OpenSockets { source };
        let link = &self.loaded.engine_clients;
        let link = link.as_ref().ok_or(SensorError::Object("engine_clients"))?;
        let mut walk = Iter::new(link).map_err(|error| failed(std::io::Error::other(error)))?;
        let mut bytes = Vec::new();
        walk.read_to_end(&mut bytes).map_err(failed)?;
        let mut clients = Vec::new();
        let mut rest = &bytes[..];
        while let Some((row, after)) = abi::read::<rw_engine_client>(rest) {
            clients.push(row);
            rest = after;
        }
        // An engine may be another one's client.
        let engines: HashSet<u32> = clients
            .iter()
            .filter(|client| client.serves != 0)
            .map(|client| client.pid)
            .collect();
        clients.retain(|client| client.serves == 0 && !engines.contains(&client.pid));
        let ours = clients.iter().filter(|client| client.job == job).count();
        Ok(match ours {
            0 => EngineClients::NotThisJob,
            all if all == clients.len() => EngineClients::ThisJob,
            _ => EngineClients::AndOthers,
        })
    }

    /// Takes what waits in the ring, oldest first. Returns how many events there were; at the limit of one batch there
    /// may be more.
    pub fn drain(&mut self, sink: &mut dyn FnMut(SensorEvent)) -> Result<usize, SensorError> {
        let taken = self.ring.consume_raw_n(BATCH);
        if let Ok(errno) = u32::try_from(-i64::from(taken))
            && errno != 0
        {
            let error = std::io::Error::from_raw_os_error(errno.cast_signed());
            return Err(SensorError::Ring(libbpf_rs::Error::from(error)));
        }
        loop {
            let Some(record) = self.inbox.borrow_mut().records.pop_front() else {
                break;
            };
            match record {
                Record::Event(event) => sink(event),
                Record::Flow {
                    event,
                    cookie,
                    addr,
                    port,
                } => {
                    self.remember_flow(cookie, addr, port);
                    sink(event);
                }
                Record::Reset(stream) => self.reset(stream),
                Record::NamespaceUsed { job, pid, netns } => {
                    self.note_namespace(job, pid, netns);
                }
                Record::MountCall(call) => {
                    if self.mount_calls.len() < MOUNT_CALLS_MAX {
                        self.mount_calls.push(call);
                    }
                }
                Record::Container(start) => {
                    if self.containers.len() < CONTAINERS_MAX {
                        self.containers.push(start);
                    }
                }
                Record::SocketGone {
                    job,
                    boot_ns,
                    process,
                    cookie,
                } => {
                    for body in self.finish_flows(cookie, process, boot_ns) {
                        sink(SensorEvent {
                            job,
                            boot_ns,
                            body,
                            environment: None,
                        });
                    }
                }
            }
        }
        Ok(usize::try_from(taken).unwrap_or(0))
    }

    /// Ends a refused stream, so that the program learns at once. Where that fails, the stream stands still until the
    /// program gives up: nothing leaves either way.
    fn reset(&mut self, stream: Stream) {
        if reset::end(&stream).is_err() {
            let _ = netns::inside(stream.pid, None, || reset::end(&stream));
        }
    }

    fn note_namespace(&mut self, job: Option<u64>, pid: u32, netns: u64) {
        let known = |used: &NamespaceUse| Some(used.job) == job && used.netns == netns;
        if let Some(job) = job
            && self.namespaces.len() < NAMESPACES_MAX
            && !self.namespaces.iter().any(known)
        {
            self.namespaces.push(NamespaceUse { job, pid, netns });
        }
    }

    fn remember_flow(&mut self, cookie: u64, addr: [u8; 16], port: u16) {
        if self.flow_sockets.len() < FLOW_SOCKETS_MAX || self.flow_sockets.contains_key(&cookie) {
            let key = rw_flow_key {
                cookie,
                addr,
                port,
                ..rw_flow_key::default()
            };
            self.flow_sockets.entry(cookie).or_default().push(key);
        }
    }

    /// Collects the byte counts of a socket's peers and makes room for others.
    fn finish_flows(&mut self, cookie: u64, process: ProcessId, boot_ns: u64) -> Vec<Body> {
        let keys = self.flow_sockets.remove(&cookie).unwrap_or_default();
        keys.iter()
            .filter_map(|key| {
                let value = self.flows.lookup_and_delete(abi::bytes_of(key)).ok()??;
                let (flow, _) = abi::read::<rw_flow>(&value)?;
                Some(Body::ConnectClose(ConnectClose {
                    connection: ConnectionId(flow.connection),
                    process,
                    outcome: ConnectOutcome::Datagrams,
                    bytes_sent: flow.bytes_sent,
                    bytes_received: flow.bytes_received,
                    opaque: false,
                    duration_ns: boot_ns.saturating_sub(flow.started_boot_ns),
                }))
            })
            .collect()
    }

    /// What was lost since the last call, by kind and reason.
    pub fn losses(&mut self) -> Result<Vec<Loss>, SensorError> {
        let mut totals = HashMap::new();
        for (kind_number, kind) in KINDS {
            for (reason_number, reason) in REASONS {
                let slot = kind_number.0 * rw_loss::RW_LOSSES.0 + reason_number.0;
                *totals.entry((kind, reason)).or_default() += self.loss_counter(slot)?;
            }
        }
        for (program, kind) in RECURSIVE {
            *totals.entry((kind, LossReason::Recursion)).or_default() +=
                self.recursion_misses(program);
        }
        let mut news = Vec::new();
        for ((kind, reason), total) in totals {
            let known = self.known_losses.insert((kind, reason), total).unwrap_or(0);
            if total > known {
                news.push(Loss {
                    kind,
                    reason,
                    count: total - known,
                });
            }
        }
        news.sort_by_key(|loss| (loss.kind, loss.reason));
        Ok(news)
    }

    fn loss_counter(&self, slot: u32) -> Result<u64, SensorError> {
        let counts = self
            .losses
            .lookup_percpu(&slot.to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| SensorError::Map {
                map: "losses",
                source,
            })?;
        let count = |bytes: &Vec<u8>| {
            bytes
                .first_chunk()
                .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        Ok(counts.iter().flatten().map(count).sum())
    }

    /// How often the kernel skipped a tracepoint program because it was already running on that processor.
    fn recursion_misses(&self, name: &str) -> u64 {
        let Some(program) = self
            .loaded
            .object
            .progs_mut()
            .find(|program| program.name() == name)
        else {
            return 0;
        };
        let mut info = libbpf_sys::bpf_prog_info::default();
        let mut len = u32::try_from(size_of_val(&info)).unwrap_or(0);
        // SAFETY: `info` is a plain struct of integers that asks for no arrays (all its pointers are null), and `len`
        // is its size. libbpf-rs offers this query only for all programs of the machine at once.
        let failed = unsafe {
            libbpf_sys::bpf_prog_get_info_by_fd(
                program.as_fd().as_raw_fd(),
                &raw mut info,
                &raw mut len,
            )
        };
        if failed == 0 {
            info.recursion_misses
        } else {
            0
        }
    }
}

/// Writes into a task's storage. The kernel asks to try again when another sensor is the first to store something there at
/// the same moment.
fn store(map: &MapHandle, task: BorrowedFd<'_>, value: &[u8]) -> libbpf_rs::Result<()> {
    let mut attempts = STORE_ATTEMPTS;
    loop {
        attempts -= 1;
        match map.update(&key_of(task), value, MapFlags::ANY) {
            Err(error) if attempts > 0 && error.kind() == libbpf_rs::ErrorKind::WouldBlock => {}
            stored => return stored,
        }
    }
}

/// Opens a folder in such a way that the kernel side knows it from then on.
/// A process as the key of a map of tasks.
fn key_of(handle: BorrowedFd<'_>) -> [u8; 4] {
    handle.as_raw_fd().to_ne_bytes()
}

fn protect(object: &Object, what: rw_introduction, folder: &Path) -> Result<(), SensorError> {
    load::introduce(object, what)?;
    File::open(folder)
        .map(drop)
        .map_err(|source| SensorError::Protect {
            path: folder.to_path_buf(),
            source,
        })
}

/// The kinds of records that can be lost, and what their loss is called.
const KINDS: [(rw_kind, EventKind); 13] = [
    (rw_kind::RW_FORK, EventKind::ProcessFork),
    (rw_kind::RW_EXEC, EventKind::ProcessExec),
    (rw_kind::RW_EXIT, EventKind::ProcessExit),
    (rw_kind::RW_CONNECT, EventKind::Connect),
    (rw_kind::RW_CONNECT_CLOSE, EventKind::ConnectClose),
    (rw_kind::RW_DNS, EventKind::Dns),
    (rw_kind::RW_SOCKET_GONE, EventKind::ConnectClose),
    (rw_kind::RW_REFUSED, EventKind::Refused),
    (rw_kind::RW_NETNS, EventKind::Dns),
    (rw_kind::RW_TAMPER, EventKind::Tamper),
    (rw_kind::RW_MEMORY, EventKind::MemoryAccess),
    (rw_kind::RW_MOUNT_CALL, EventKind::File),
    (rw_kind::RW_CONTAINER, EventKind::ProcessExec),
];

const REASONS: [(rw_loss, LossReason); 2] = [
    (rw_loss::RW_LOSS_RING_FULL, LossReason::RingFull),
    (rw_loss::RW_LOSS_NO_MEMORY, LossReason::NoMemory),
];

/// Programs that the kernel skips when they would run inside themselves.
const RECURSIVE: [(&str, EventKind); 4] = [
    ("on_fork", EventKind::ProcessFork),
    ("on_exec", EventKind::ProcessExec),
    ("on_exit", EventKind::ProcessExit),
    ("on_tcp_state", EventKind::ConnectClose),
];
