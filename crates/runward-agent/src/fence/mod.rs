//! Block mode: everything that has to stand before a fenced job may run its first instruction.
//!
//! A step that fails ends the start of the job. There is no way from here to a job that is only watched.

mod gate;
mod listeners;
mod plan;
mod upstream;

use std::path::Path;
use std::sync::Arc;

use runward_event::ProcessId;
use runward_policy::{Actor, BlockList, Matcher};
use runward_resolver::{
    Listening, Options, Resolver, ResolverError, UpstreamsError, system_upstreams,
};
use runward_sensor::{FenceError, NamespaceUse, Sensor, SensorError, netns};
use runward_tree::Tree;

pub(crate) use gate::JobGate;
use listeners::Listeners;
pub(crate) use plan::policy_rules;

/// Which servers the machine asks for names. Read, never changed.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// In how many network namespaces one job may use DNS. Beyond, its questions there are lost.
const NAMESPACES_MAX: usize = 256;

/// Why a job could not be fenced.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// More narrowings than there are scopes.
    #[error("the policy has {0} different narrowings, and 63 can be enforced: use fewer")]
    TooManyNarrowings(usize),
    /// More rules for one host than can be enforced.
    #[error("the policy has too many rules for {0}: write them as fewer, wider lines")]
    TooManyRules(String),
    /// The kernel does not take the policy.
    #[error(transparent)]
    Kernel(#[from] SensorError),
    /// The system's name servers are not known.
    #[error(transparent)]
    Upstreams(#[from] UpstreamsError),
    /// No name server answers.
    #[error(
        "none of the system's name servers answers ({servers}), so no name of the policy could be reached: check {RESOLV_CONF} and the network"
    )]
    UpstreamsSilent {
        /// The servers that were asked.
        servers: String,
    },
    /// The resolver has no place to listen.
    #[error("cannot listen for the job's DNS questions on the loopback addresses: {0}")]
    Listen(#[source] std::io::Error),
    /// The resolver does not start.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
}

impl From<FenceError> for BlockError {
    fn from(error: FenceError) -> BlockError {
        BlockError::Kernel(error.into())
    }
}

/// A job's fence, standing. Names cannot be resolved any more when it is dropped; nothing else changes.
pub(crate) struct Fenced {
    gate: Arc<JobGate>,
    resolver: Resolver,
    port: u16,
    listening: Vec<Listening>,
}

impl Fenced {
    /// Raises the fence around a job that has not started.
    pub(crate) fn raise(
        sensor: &mut Sensor,
        job: u64,
        matcher: Arc<Matcher>,
        block_list: Arc<BlockList>,
    ) -> Result<Fenced, BlockError> {
        let mut rules = plan::fence_rules(&matcher)?;
        let upstreams = system_upstreams(Path::new(RESOLV_CONF))?;
        if matcher.has_patterns() || !matcher.exact_names().is_empty() {
            upstream::check(&upstreams)?;
        }
        let listeners = Listeners::open(None).map_err(BlockError::Listen)?;
        rules.resolver_port = listeners.port;
        let port = listeners.port;
        let own = netns::own_cookie().map_err(BlockError::Listen)?;
        let fence = sensor.fence(job, &rules)?;
        let gate = Arc::new(JobGate::new(matcher, block_list, fence));
        let resolver = Resolver::start(&Options { upstreams }, Arc::clone(&gate) as _)?;
        let mut fenced = Fenced {
            gate,
            resolver,
            port,
            listening: Vec::new(),
        };
        fenced.serve(own, listeners)?;
        Ok(fenced)
    }

    /// What the resolver answers by.
    pub(crate) fn gate(&self) -> Arc<JobGate> {
        Arc::clone(&self.gate)
    }

    fn serve(&mut self, namespace: u64, listeners: Listeners) -> Result<(), BlockError> {
        let port = listeners.port;
        for (datagrams, connections) in listeners.pairs {
            let listening = self.resolver.listen(namespace, datagrams, connections)?;
            self.listening.push(listening);
        }
        self.gate.fence().resolver_listens(namespace, port)?;
        Ok(())
    }

    /// Puts a policy in the place of the one in force, which must allow no more.
    pub(crate) fn tighten(&self, matcher: Arc<Matcher>) -> Result<(), BlockError> {
        let mut rules = plan::fence_rules(&matcher)?;
        rules.resolver_port = self.port;
        Ok(self.gate.tighten(matcher, &rules)?)
    }

    /// Looks at a program that has just started: rules that are narrowed to it hold from now on.
    pub(crate) fn look_at(&self, id: ProcessId, tree: &Tree) {
        let matcher = self.gate.matcher();
        let policy = matcher.policy();
        let Some(process) = tree.process(id).filter(|_| !policy.narrowings().is_empty()) else {
            return;
        };
        let exe = tree.image(id).map(|image| image.exe.as_str());
        let scopes = policy.fits(&Actor {
            step: process.step.as_ref().map(|step| step.name.as_str()),
            executable: exe,
            image: None,
        });
        // Without room for it, the process has no scopes, and may do less.
        let _ = self.gate.fence().set_scopes(id, scopes.bits());
    }

    /// Lets the resolver listen in a network namespace that the job has begun to use. When that fails, names stay
    /// unknown there; the answer says why.
    pub(crate) fn enter(&mut self, used: NamespaceUse) -> Result<(), String> {
        if self.listening.len() >= 2 * NAMESPACES_MAX {
            return Err(format!(
                "the job uses more than {NAMESPACES_MAX} network namespaces; names are not resolved in further ones"
            ));
        }
        let wanted = Some(self.port);
        let failed = |error: &dyn std::error::Error| {
            format!("names are not resolved in a network namespace of the job: {error}")
        };
        let listeners = netns::inside(used.pid, Some(used.netns), || Listeners::open(wanted))
            .map_err(|error| failed(&error))?;
        self.serve(used.netns, listeners)
            .map_err(|error| failed(&error))
    }
}
