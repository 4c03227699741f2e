//! Which process of the job a process id of the kernel means, for those events that carry nothing better.

use std::collections::HashMap;

use runward_event::{Body, ProcessId, Time};

/// How long after its end a process may still be named by its process id: events of files are read in batches, some
/// milliseconds after the act.
const AFTERLIFE_NS: u64 = 1_000_000_000;
/// Ids that are remembered before those of ended processes are swept out.
const SWEEP_AT: usize = 65_536;

/// Follows forks and exits.
#[derive(Debug, Default)]
pub(crate) struct Pids {
    processes: HashMap<u32, Entry>,
    alive: u64,
}

#[derive(Debug)]
struct Entry {
    process: ProcessId,
    ended: Option<Time>,
}

impl Pids {
    /// Takes note of a process's beginning or end.
    pub(crate) fn observe(&mut self, time: Time, body: &Body) {
        match body {
            Body::ProcessFork(fork) => self.begin(fork.pid, fork.process, time),
            // Known from its fork, unless that event was lost.
            Body::ProcessExec(exec) if !self.is(exec.pid, exec.process) => {
                self.begin(exec.pid, exec.process, time);
            }
            Body::ProcessExit(exit) => {
                if let Some(entry) = self.processes.get_mut(&exit.pid)
                    && entry.process == exit.process
                    && entry.ended.is_none()
                {
                    entry.ended = Some(time);
                    self.alive -= 1;
                }
            }
            _ => {}
        }
    }

    fn is(&self, pid: u32, process: ProcessId) -> bool {
        self.processes
            .get(&pid)
            .is_some_and(|known| known.process == process)
    }

    fn begin(&mut self, pid: u32, process: ProcessId, time: Time) {
        if self.processes.len() >= SWEEP_AT {
            self.processes.retain(|_, entry| {
                entry
                    .ended
                    .is_none_or(|ended| time.nanos_since(ended) <= AFTERLIFE_NS)
            });
        }
        let before = self.processes.insert(
            pid,
            Entry {
                process,
                ended: None,
            },
        );
        // An id is given again only after its process has ended, whether or not we were told.
        if before.is_none_or(|before| before.ended.is_some()) {
            self.alive += 1;
        }
    }

    /// The job's process that has, or had until a moment ago, this process id.
    pub(crate) fn process(&self, pid: u32, now: Time) -> Option<ProcessId> {
        let entry = self.processes.get(&pid)?;
        let recent = entry
            .ended
            .is_none_or(|ended| now.nanos_since(ended) <= AFTERLIFE_NS);
        recent.then_some(entry.process)
    }

    /// How many processes of the job are running.
    pub(crate) fn alive(&self) -> u64 {
        self.alive
    }
}

#[cfg(test)]
mod tests {
    use runward_event::{ProcessExit, ProcessFork};

    use super::*;

    fn fork(pid: u32, process: u64) -> Body {
        Body::ProcessFork(ProcessFork {
            process: ProcessId(process),
            pid,
            parent: None,
            ppid: 0,
        })
    }

    fn exit(pid: u32, process: u64) -> Body {
        Body::ProcessExit(ProcessExit {
            process: ProcessId(process),
            pid,
            code: Some(0),
            signal: None,
        })
    }

    #[test]
    fn a_process_id_means_whoever_had_it_last() {
        let second = |s: u64| Time::from_unix_nanos(s * 1_000_000_000);
        let mut pids = Pids::default();
        pids.observe(second(1), &fork(7, 70));
        assert_eq!(pids.process(7, second(100)), Some(ProcessId(70)));
        pids.observe(second(100), &exit(7, 70));
        assert_eq!(pids.alive(), 0);
        assert_eq!(pids.process(7, second(101)), Some(ProcessId(70)));
        assert_eq!(
            pids.process(7, second(102)),
            None,
            "by then it may be anybody's"
        );
        pids.observe(second(103), &fork(7, 71));
        pids.observe(second(104), &exit(7, 70));
        assert_eq!(
            pids.process(7, second(200)),
            Some(ProcessId(71)),
            "a late end of the one before"
        );
        assert_eq!(pids.alive(), 1);
        assert_eq!(pids.process(8, second(200)), None);
    }
}
