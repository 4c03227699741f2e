//! Containers that a daemon outside of the job starts because a process of the job asks it to: whose each is.
//!
//! A request to start a container is not answered before it runs. So who is connected to a daemon when a runtime begins to
//! make one has asked for it, or another one who is connected then. In doubt it is not the job's: what is in a job may be
//! fenced, and ends with it.

use std::collections::{HashMap, HashSet, VecDeque};

use runward_event::JobIdentity;
use runward_sensor::{ContainerStart, EngineClients, Sensor, container_of, is_in_another_job};

use crate::environment::{environment_of, names_a_job, variables};

/// How many of those are remembered who look after containers.
const KEEPERS_MAX: usize = 256;
/// How many containers are taken into one job.
const CONTAINERS_MAX: usize = 4096;

/// The containers of one job.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    /// By who looks after a container: who was connected to an engine when its runtime was started last.
    clients: VecDeque<(u32, EngineClients)>,
    /// Those that the job has: by who looks after one, its id, if it was still there to tell.
    taken: HashMap<u32, Option<String>>,
    /// Who looks after one of which nobody could tell whose it is.
    unclear: HashSet<u32>,
}

/// Whose a container is, in its own words.
enum Whose {
    Ours,
    AnotherJobs,
    Unsaid,
}

impl Containers {
    /// Whether what starts here is the job's, and not in it yet. Most are in it by then: the kernel side puts a container's
    /// first program into the job that is known to have asked for it.
    pub(crate) fn is_ours(
        &mut self,
        start: ContainerStart,
        job: u64,
        identity: &JobIdentity,
        sensor: &Sensor,
    ) -> bool {
        // Who can't be looked for may be there.
        let look = || {
            let clients = sensor.engine_clients(job);
            clients.unwrap_or(EngineClients::AndOthers)
        };
        if !start.is_inside {
            // One that another job has started without a daemon.
            if !is_in_another_job(start.keeper) {
                let clients = look();
                let is_new = self.remember(start.keeper, clients);
                if clients != EngineClients::ThisJob {
                    sensor.expect_no_container(start.keeper);
                } else if is_new && self.has_room() {
                    sensor.expect_container(job, start.keeper);
                }
            }
            return false;
        }
        let id = container_of(start.pid);
        if start.is_placed {
            self.has(start, id);
            sensor.expect_no_container(start.keeper);
            return false;
        }
        if start.is_session {
            // By whomever, it is the container's.
            return self.knows(id.as_deref()) && !is_in_another_job(start.pid);
        }
        let known = self.clients.iter();
        let clients = match known.rev().find(|(keeper, _)| *keeper == start.keeper) {
            Some((_, clients)) => *clients,
            None => look(),
        };
        if !self.has_room() || is_in_another_job(start.pid) {
            return false;
        }
        let whose = match clients {
            EngineClients::NotThisJob => Whose::AnotherJobs,
            EngineClients::ThisJob => Whose::Ours,
            // What a container says of itself counts only where it settles something: it is the job's word.
            EngineClients::AndOthers => said_by(start.pid, identity),
        };
        match whose {
            Whose::Ours => self.has(start, id),
            Whose::AnotherJobs => {}
            Whose::Unsaid => {
                if self.unclear.len() < CONTAINERS_MAX {
                    self.unclear.insert(start.keeper);
                }
            }
        }
        matches!(whose, Whose::Ours)
    }

    fn has(&mut self, start: ContainerStart, id: Option<String>) {
        // What was started in one later has another keeper in some engines.
        if !self.knows(id.as_deref()) {
            let taken = self.taken.entry(start.keeper).or_default();
            *taken = taken.take().or(id);
        }
    }

    fn knows(&self, id: Option<&str>) -> bool {
        id.is_some() && self.taken.values().any(|taken| taken.as_deref() == id)
    }

    fn has_room(&self) -> bool {
        self.taken.len() < CONTAINERS_MAX
    }

    /// Returns whether this keeper was seen for the first time: what it looks after has not begun.
    fn remember(&mut self, keeper: u32, clients: EngineClients) -> bool {
        let known = self.clients.len();
        self.clients.retain(|(other, _)| *other != keeper);
        let is_new = self.clients.len() == known;
        if self.clients.len() == KEEPERS_MAX {
            self.clients.pop_front();
        }
        self.clients.push_back((keeper, clients));
        is_new
    }

    /// What the report says of them.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let count = self.taken.len();
        let taken = (count > 0).then(|| format!(
            "A daemon outside of the job started containers because the job asked for them: {count} are in this record. What ran in one before it was known whose it is may be missing."
        ));
        let count = self.unclear.len();
        let unclear = (count > 0).then(|| format!(
            "Of {count} containers nobody can tell who asked for them: others were connected to such a daemon, too, and the containers do not say. They are not in this record."
        ));
        taken.into_iter().chain(unclear)
    }
}

/// Whose container it is, by the environment of its first program.
fn said_by(pid: u32, ours: &JobIdentity) -> Whose {
    let environment = environment_of(pid);
    if !names_a_job(&environment) || ours.project.is_none() {
        return Whose::Unsaid;
    }
    let variables = variables(&environment);
    let said = runward_ci::identify(&|name| variables.get(name).cloned());
    let is_ours = (&said.project, &said.run, &said.job, said.attempt)
        == (&ours.project, &ours.run, &ours.job, ours.attempt);
    match is_ours {
        true => Whose::Ours,
        false => Whose::AnotherJobs,
    }
}
