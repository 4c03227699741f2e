//! From the object that the binary carries to programs in the kernel.

use std::ffi::{CStr, OsStr};
use std::fs::{self, File};
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use libbpf_rs::{
    Link, Map, MapCore, MapHandle, Object, ObjectBuilder, OpenObject, OpenProgramMut, PrintLevel,
    ProgramInput, set_print,
};

use crate::SensorError;
use crate::abi::{arrivals_rodata, rodata, rw_introduction};
use crate::pins::Pins;

/// Keeps an embedded object where its headers can be read in place.
#[repr(C, align(8))]
struct Aligned<Bytes: ?Sized>(Bytes);

/// Packed, because it would be a twentieth of the binary.
static RUNWARD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runward.bpf.o.zst"));
/// More than it has unpacked, in bytes.
const OBJECT_MAX: usize = 8 << 20;
static ARRIVALS: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/arrivals.bpf.o")));
static PROBE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/probe.bpf.o")));

/// How sockets learn whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketTagging {
    /// Cgroup programs read the task's storage themselves.
    CgroupHooks,
    /// Trampolines on the security hooks tag the socket first: for kernels whose cgroup programs cannot.
    Trampolines,
}

/// What libbpf and the verifier print, until somebody asks.
static LOG: Mutex<String> = Mutex::new(String::new());
/// The verifier can print megabytes; its last words tell why it refused.
const LOG_KEPT: usize = 64 * 1024;

fn keep_log(_: PrintLevel, text: String) {
    if let Ok(mut log) = LOG.lock() {
        log.push_str(&text);
        if log.len() > 2 * LOG_KEPT {
            let cut = log.floor_char_boundary(log.len() - LOG_KEPT);
            log.drain(..cut);
        }
    }
}

/// Runs `work` with libbpf's words collected; gives them along with the error.
fn with_log<T>(
    work: impl FnOnce() -> libbpf_rs::Result<T>,
) -> Result<T, (libbpf_rs::Error, String)> {
    set_print(Some((PrintLevel::Info, keep_log)));
    if let Ok(mut log) = LOG.lock() {
        log.clear();
    }
    work().map_err(|source| {
        let log = LOG
            .lock()
            .map(|mut log| mem::take(&mut *log))
            .unwrap_or_default();
        (source, log)
    })
}

fn load_error((source, log): (libbpf_rs::Error, String)) -> SensorError {
    let log = if log.is_empty() {
        log
    } else {
        format!("\n{}", log.trim_end())
    };
    SensorError::Load { source, log }
}

/// The sensor's object with every program attached. Dropping it detaches them.
pub(crate) struct Loaded {
    pub(crate) object: Object,
    pub(crate) open_sockets: Option<Link>,
    /// What lists the processes of condemned jobs, until a lockdown takes it.
    pub(crate) condemned: Option<Link>,
    /// What gives those a place who ran before their job began.
    pub(crate) descendants: Option<Link>,
    /// What lists who of a job is connected to an engine of containers.
    pub(crate) engine_clients: Option<Link>,
    // Fields drop in this order: the links go before the object that owns their programs.
    _links: Vec<Link>,
    _cgroup: File,
}

/// How a fenced job is kept from what is not the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Trampolines refuse it: every program that does so must load.
    Refuse,
    /// These programs refuse or tell what they can.
    Watch(Vec<&'static str>),
}

/// What sees that a job reaches into other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemorySight {
    /// Trampolines at the kernel's own checks.
    Trampolines,
    /// The tracepoint at the lock of an address space.
    Lock,
    /// Nothing: the kernel has neither.
    Nothing,
}

/// How the sensor is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) tagging: SocketTagging,
    pub(crate) memory: MemorySight,
    /// Whether the kernel tells who mounts something.
    pub(crate) mounts: bool,
    pub(crate) ring_bytes: u32,
    /// Room for the entries of a block list; 0 when there is none.
    pub(crate) listed: u32,
    /// Set if a job may be fenced.
    pub(crate) fence: Option<Protection>,
    /// Set if a job may be in lockdown: whether trampolines refuse there what it bans.
    pub(crate) lockdown: Option<bool>,
    /// Whether a job may begin with processes that run already.
    pub(crate) adopts: bool,
}

impl Setup {
    fn wants(&self, program: &OpenProgramMut<'_>) -> bool {
        let name = program.name().as_bytes();
        if name.starts_with(GUARDS) {
            self.fence == Some(Protection::Refuse)
        } else if name.starts_with(WATCHES) {
            let Some(Protection::Watch(watches)) = &self.fence else {
                return false;
            };
            watches.iter().any(|watch| watch.as_bytes() == name)
        } else if name.starts_with(LOCKDOWNS) {
            let trampoline = program.section().as_bytes().starts_with(b"fmod_ret");
            self.lockdown.is_some_and(|refuses| refuses || !trampoline)
        } else if name.starts_with(SEES) {
            let trampoline = program.section().as_bytes().starts_with(b"fentry");
            self.memory
                == match trampoline {
                    true => MemorySight::Trampolines,
                    false => MemorySight::Lock,
                }
        } else if name == MOUNTS {
            self.mounts
        } else if program.section().as_bytes().starts_with(b"fentry") {
            self.tagging == SocketTagging::Trampolines
        } else {
            self.fence.is_some() || FENCE_PROGRAMS.iter().all(|other| other.as_bytes() != name)
        }
    }
}

/// The program that looks for sockets which a job did not make itself; run on demand.
const OPEN_SOCKETS: &str = "tag_open_sockets";
/// The program by which the agent tells who it is; run on demand.
const INTRODUCE: &str = "introduce";
/// The program that tells how deep the agent's pid namespace is; run on demand.
const OWN_PID_LEVEL: &str = "own_pid_level";
/// How the names of programs begin that refuse a fenced job what is not the network, by trampolines.
const GUARDS: &[u8] = b"guard_";
/// How the names of those begin that stand in for them.
const WATCHES: &[u8] = b"watch_";
/// How the names of those begin that see a job reach into other processes.
const SEES: &[u8] = b"see_";
/// The one that sees a job mount something.
const MOUNTS: &[u8] = b"mounts_made";
/// How the names of those begin that only a lockdown needs.
const LOCKDOWNS: &[u8] = b"lockdown_";
/// The program that lists the processes of condemned jobs; run on demand.
const CONDEMNED: &str = "lockdown_list";
/// The program that gives those a place who ran before their job began; run on demand.
const DESCENDANTS: &str = "adopt_descendants";
/// The program that lists who of a job is connected to an engine of containers; run on demand.
const ENGINE_CLIENTS: &str = "engine_clients";
/// Programs that only a fence needs.
const FENCE_PROGRAMS: [&str; 8] = [
    OPEN_SOCKETS,
    INTRODUCE,
    "on_agent_moved",
    "on_filter_skb",
    "on_recvmsg4",
    "on_recvmsg6",
    "on_getpeername4",
    "on_getpeername6",
];
/// Maps that only a fence needs; the kernel makes large tables for them.
const FENCE_MAPS: [&str; 7] = [
    "scopes",
    "fences",
    "nets",
    "bindings",
    "names",
    "resolvers",
    "own_peers",
];
/// Maps that only a lockdown needs.
const LOCKDOWN_MAPS: [&str; 4] = ["lockdowns", "members", "makers", "runners"];
/// Where C libraries look for a daemon that looks up names for them (nscd).
const NAME_CACHES: [&str; 2] = ["/run/nscd/socket", "/var/run/nscd/socket"];

/// Loads the sensor and attaches it to the root of cgroup2. With `pins`, every link is pinned there, so that the programs
/// outlive this process.
pub(crate) fn load(setup: &Setup, pins: Option<&Pins>) -> Result<Loaded, SensorError> {
    let cgroup_path = cgroup2_mount()?;
    let cgroup = File::open(&cgroup_path).map_err(|source| SensorError::Cgroup {
        path: cgroup_path,
        source,
    })?;
    let mut open = with_log(open_object).map_err(load_error)?;
    configure(&mut open, setup)?;
    let object = with_log(|| open.load()).map_err(load_error)?;
    let mut links = Vec::new();
    let mut open_sockets = None;
    let mut condemned = None;
    let mut descendants = None;
    let mut engine_clients = None;
    for program in object.progs_mut() {
        if !program.autoload() || program.name() == INTRODUCE {
            continue;
        }
        let attached = if program.section().as_bytes().starts_with(b"cgroup") {
            program.attach_cgroup(cgroup.as_raw_fd())
        } else {
            program.attach()
        };
        let mut link = attached.map_err(|source| SensorError::Attach {
            program: program.name().to_string_lossy().into_owned(),
            source,
        })?;
        if let Some(pins) = pins {
            pins.link(&mut link, program.name())?;
        }
        if program.name() == OPEN_SOCKETS {
            open_sockets = Some(link);
        } else if program.name() == CONDEMNED {
            condemned = Some(link);
        } else if program.name() == DESCENDANTS {
            descendants = Some(link);
        } else if program.name() == ENGINE_CLIENTS {
            engine_clients = Some(link);
        } else {
            links.push(link);
        }
    }
    Ok(Loaded {
        object,
        open_sockets,
        condemned,
        descendants,
        engine_clients,
        _links: links,
        _cgroup: cgroup,
    })
}

fn configure(open: &mut OpenObject, setup: &Setup) -> Result<(), SensorError> {
    let processors = libbpf_rs::num_possible_cpus().map_err(|source| SensorError::Map {
        map: "exec_scratches",
        source,
    })?;
    for mut map in open.maps_mut() {
        let name = map.name().to_os_string();
        let configured = match name.as_bytes() {
            b"exec_scratches" => map.set_max_entries(u32::try_from(processors).unwrap_or(1)),
            b"events" => map.set_max_entries(setup.ring_bytes),
            name if setup.fence.is_none()
                && FENCE_MAPS.iter().any(|map| map.as_bytes() == name) =>
            {
                map.set_max_entries(1)
            }
            name if setup.lockdown.is_none()
                && LOCKDOWN_MAPS.iter().any(|map| map.as_bytes() == name) =>
            {
                map.set_max_entries(1)
            }
            b"listed_nets" | b"listed_names" => map.set_max_entries(setup.listed.max(1)),
            section if section.ends_with(b".rodata") => {
                let constants = map
                    .initial_value_mut()
                    .ok_or(SensorError::Object("constants"))?;
                set_constants(constants, setup)?;
                Ok(())
            }
            _ => Ok(()),
        };
        configured.map_err(|source| SensorError::Map {
            map: "of the object",
            source,
        })?;
    }
    for mut program in open.progs_mut() {
        let wanted = setup.wants(&program);
        program.set_autoload(wanted);
    }
    Ok(())
}

fn set_constants(constants: &mut [u8], setup: &Setup) -> Result<(), SensorError> {
    let mut set = |offset: usize, value: &[u8]| {
        constants
            .get_mut(offset..offset + value.len())
            .map(|place| place.copy_from_slice(value))
            .ok_or(SensorError::Object("constants"))
    };
    let pids = PidNamespace::own()?;
    set(
        mem::offset_of!(rodata, agent_pid_level),
        &pids.level.to_ne_bytes(),
    )?;
    set(
        mem::offset_of!(rodata, agent_pid_namespace),
        &pids.number.to_ne_bytes(),
    )?;
    let in_hooks = u8::from(setup.tagging == SocketTagging::CgroupHooks);
    set(
        mem::offset_of!(rodata, task_storage_in_cgroup_hooks),
        &[in_hooks],
    )?;
    set(
        mem::offset_of!(rodata, fence),
        &[u8::from(setup.fence.is_some())],
    )?;
    set(
        mem::offset_of!(rodata, lockdown),
        &[u8::from(setup.lockdown.is_some())],
    )?;
    set(
        mem::offset_of!(rodata, lockdown_refuses),
        &[u8::from(setup.lockdown == Some(true))],
    )?;
    set(mem::offset_of!(rodata, adopts), &[u8::from(setup.adopts)])?;
    set(
        mem::offset_of!(rodata, listing),
        &[u8::from(setup.listed > 0)],
    )?;
    let name_cache_runs = NAME_CACHES.iter().any(|path| Path::new(path).exists());
    set(
        mem::offset_of!(rodata, name_cache_runs),
        &[u8::from(name_cache_runs)],
    )?;
    set(
        mem::offset_of!(rodata, ring_bytes),
        &u64::from(setup.ring_bytes).to_ne_bytes(),
    )
}

/// Where process ids are told as this process sees them.
struct PidNamespace {
    /// How many lie between the kernel's first one and this.
    level: u32,
    number: u32,
}

impl PidNamespace {
    fn own() -> Result<PidNamespace, SensorError> {
        let number = fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino());
        Ok(PidNamespace {
            level: own_pid_level()?,
            number: u32::try_from(number).unwrap_or(0),
        })
    }
}

/// Only the kernel knows: a container's /proc shows nothing of the namespaces around it.
fn own_pid_level() -> Result<u32, SensorError> {
    let mut open =
        with_log(|| ObjectBuilder::default().open_memory(&PROBE.0)).map_err(load_error)?;
    for mut program in open.progs_mut() {
        let wanted = program.name() == OWN_PID_LEVEL;
        program.set_autoload(wanted);
    }
    let object = with_log(|| open.load()).map_err(load_error)?;
    let program = object
        .progs_mut()
        .find(|program| program.name() == OWN_PID_LEVEL)
        .ok_or(SensorError::Object(OWN_PID_LEVEL))?;
    let ran = program.test_run(ProgramInput::default());
    Ok(ran.map_err(SensorError::Introduce)?.return_value)
}

/// Where cgroup version 2 is mounted. Hybrid machines have it beside version 1, at a place of their own choice.
pub(crate) fn cgroup2_mount() -> Result<PathBuf, SensorError> {
    let mounts = fs::read("/proc/self/mounts").unwrap_or_default();
    mounts
        .split(|byte| *byte == b'\n')
        .find_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ');
            let path = fields.nth(1)?;
            (fields.next()? == b"cgroup2").then(|| Path::new(OsStr::from_bytes(path)).to_path_buf())
        })
        .ok_or(SensorError::NoCgroup2)
}

/// A map of the loaded object, with a descriptor of its own.
pub(crate) fn map(object: &Object, name: &'static str) -> Result<MapHandle, SensorError> {
    let map: Map<'_> = object
        .maps()
        .find(|map| map.name() == OsStr::new(name))
        .ok_or(SensorError::Object(name))?;
    MapHandle::try_from(&map).map_err(|source| SensorError::Map { map: name, source })
}

/// The map that the kernel side's variables live in.
pub(crate) fn variables(object: &Object) -> Result<MapHandle, SensorError> {
    const NAME: &str = ".data";
    let map: Map<'_> = object
        .maps()
        .find(|map| map.name().as_bytes().ends_with(NAME.as_bytes()))
        .ok_or(SensorError::Object(NAME))?;
    MapHandle::try_from(&map).map_err(|source| SensorError::Map { map: NAME, source })
}

/// Runs the program by which this thread tells the kernel side who it is, or that the next file that it opens is to be
/// left alone.
pub(crate) fn introduce(object: &Object, what: rw_introduction) -> Result<(), SensorError> {
    let program = object
        .progs_mut()
        .find(|program| program.name() == INTRODUCE);
    let program = program.ok_or(SensorError::Object(INTRODUCE))?;
    let mut context = what.0.to_ne_bytes();
    let input = ProgramInput {
        context_in: Some(&mut context),
        ..ProgramInput::default()
    };
    let ran = program.test_run(input).map_err(SensorError::Introduce)?;
    match ran.return_value {
        0 => Ok(()),
        _ => Err(SensorError::Object(INTRODUCE)),
    }
}

/// Opens the object that the binary carries. libbpf copies what it needs of it.
fn open_object() -> libbpf_rs::Result<OpenObject> {
    let object = zstd::bulk::decompress(RUNWARD, OBJECT_MAX).map_err(libbpf_rs::Error::from)?;
    ObjectBuilder::default().open_memory(&object)
}

/// Loads the program that stops the first processes of jobs, attached to nothing.
pub(crate) fn arrivals() -> Result<Object, SensorError> {
    let mut open =
        with_log(|| ObjectBuilder::default().open_memory(&ARRIVALS.0)).map_err(load_error)?;
    let pids = PidNamespace::own()?;
    let set = |constants: &mut [u8], offset: usize, value: u32| {
        let place = constants.get_mut(offset..)?.first_chunk_mut()?;
        *place = value.to_ne_bytes();
        Some(())
    };
    let constants = open
        .maps_mut()
        .find(|map| map.name().as_bytes().ends_with(b".rodata"))
        .and_then(|mut map| {
            let constants = map.initial_value_mut()?;
            let level = mem::offset_of!(arrivals_rodata, agent_pid_level);
            set(constants, level, pids.level)?;
            let number = mem::offset_of!(arrivals_rodata, agent_pid_namespace);
            set(constants, number, pids.number)
        });
    constants.ok_or(SensorError::Object("constants"))?;
    with_log(|| open.load()).map_err(load_error)
}

/// Tries to load every program that refuses a fenced job what is not the network. The error is the kernel's word.
pub(crate) fn guards() -> Result<(), String> {
    let tried = with_log(|| {
        let mut open = open_object()?;
        for mut program in open.progs_mut() {
            let wanted = program.name().as_bytes().starts_with(GUARDS);
            program.set_autoload(wanted);
        }
        open.load().map(drop)
    });
    tried.map_err(|(error, _)| error.to_string())
}

/// Tries one program of the probe object: loads it and, if asked, attaches it. The error is the kernel's word.
pub(crate) fn probe(program_name: &CStr, attach: bool) -> Result<(), String> {
    let tried = with_log(|| {
        let mut open = ObjectBuilder::default().open_memory(&PROBE.0)?;
        for mut program in open.progs_mut() {
            let wanted = program.name().as_bytes() == program_name.to_bytes();
            program.set_autoload(wanted);
        }
        let object = open.load()?;
        if attach {
            for program in object.progs_mut().filter(|program| program.autoload()) {
                drop(program.attach()?);
            }
        }
        Ok(())
    });
    tried.map_err(|(error, _)| error.to_string())
}
