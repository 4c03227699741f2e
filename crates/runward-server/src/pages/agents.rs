//! Machines that send records, and what is wrong with them.

use askama::Template;
use runward_event::{Mode, Tier};
use runward_store::{Agent, Millis};

use super::hostile::Text;
use super::moment::Moment;
use super::number::{count, counted};
use super::pill::{Pill, mode_name, weakened};
use super::shell::{Section, Shell};

/// An agent with a job is heard of twice a minute, also when the job is quiet; after so long without a word something is
/// wrong.
const QUIET: Millis = 2 * 60 * 1000;

/// `/o/{org}/agents`.
#[derive(Template)]
#[template(path = "agents.html")]
pub(crate) struct AgentsPage {
    shell: Shell,
    rows: Vec<Row>,
    healthy: String,
    unhealthy: String,
    any_unhealthy: bool,
    settings_href: String,
}

struct Row {
    host: Text,
    version: Text,
    kernel: Text,
    tier: Pill,
    mode: Pill,
    weakened: Option<&'static str>,
    running: String,
    last: Moment,
    troubles: Vec<String>,
    remarks: Vec<&'static str>,
}

impl AgentsPage {
    /// All machines. Those with troubles come first, otherwise in the order of the store.
    pub(crate) fn new(shell: Shell, agents: &[Agent], now: Millis) -> AgentsPage {
        let shell = shell.titled("Agents", Section::Agents);
        let mut rows: Vec<Row> = agents.iter().map(|agent| Row::new(agent, now)).collect();
        rows.sort_by_key(|row| row.troubles.is_empty());
        let unhealthy = i64::try_from(rows.iter().filter(|row| !row.troubles.is_empty()).count())
            .unwrap_or(i64::MAX);
        let all = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        AgentsPage {
            rows,
            healthy: count(all.saturating_sub(unhealthy)),
            unhealthy: count(unhealthy),
            any_unhealthy: unhealthy > 0,
            settings_href: format!("{}#keys", shell.at(&["settings"])),
            shell,
        }
    }
}

impl Row {
    fn new(agent: &Agent, now: Millis) -> Row {
        Row {
            host: Text::new(&agent.host, 48),
            version: Text::new(&agent.version, 24),
            kernel: Text::new(&agent.kernel, 40),
            tier: Pill::tier(agent.tier),
            mode: Pill::mode(agent.effective_mode),
            weakened: weakened(agent.requested_mode, agent.effective_mode),
            running: count(agent.running),
            last: Moment::ago(agent.last_seen_at, now),
            troubles: troubles(agent, now),
            remarks: remarks(agent),
        }
    }
}

/// What is wrong with a machine, a sentence each; nothing when it is healthy.
fn troubles(agent: &Agent, now: Millis) -> Vec<String> {
    let mut troubles = Vec::new();
    let silent = now.saturating_sub(agent.last_seen_at);
    if agent.running > 0 && silent >= QUIET {
        troubles.push(format!(
            "Not heard of for {} minutes while {} there: the agent may have been stopped, or the machine is cut off.",
            count(silent / 60_000),
            counted(agent.running, "job runs", "jobs run"),
        ));
    }
    if agent.lost_events > 0 {
        troubles.push(format!(
            "{} in the last day: the records of its runs have holes.",
            counted(agent.lost_events, "event was lost", "events were lost"),
        ));
    }
    if (agent.requested_mode, agent.effective_mode) == (Some(Mode::Block), Some(Mode::Audit)) {
        troubles.push(format!(
            "Its last job asked for {} mode, and {} mode was in force: nothing was stopped.",
            mode_name(agent.requested_mode),
            mode_name(agent.effective_mode),
        ));
    }
    troubles
}

/// What is no trouble, but worth knowing.
fn remarks(agent: &Agent) -> Vec<&'static str> {
    match agent.tier {
        Some(Tier::B) => vec![
            "Tier B: this kernel has no BPF trampolines. The fence on the network holds; bad acts on files, memory and \
             the agent are detected, not prevented.",
        ],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let now = sample::NOW;
        let well = Agent {
            last_seen_at: now - QUIET,
            running: 0,
            ..sample::agent()
        };
        assert!(troubles(&well, now).is_empty());
        let quiet = Agent {
            running: 2,
            ..well.clone()
        };
        assert_eq!(troubles(&quiet, now).len(), 1);
        let heard = Agent {
            last_seen_at: now - QUIET + 1,
            ..quiet
        };
        assert!(troubles(&heard, now).is_empty());
        let lossy = Agent {
            lost_events: 1,
            ..well.clone()
        };
        assert_eq!(troubles(&lossy, now).len(), 1);
        let weak = Agent {
            requested_mode: Some(Mode::Block),
            effective_mode: Some(Mode::Audit),
            ..well.clone()
        };
        assert_eq!(troubles(&weak, now).len(), 1);
        assert_eq!(
            remarks(&Agent {
                tier: Some(Tier::B),
                ..well
            })
            .len(),
            1
        );
    }
}
