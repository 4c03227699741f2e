use std::io::Write;
use std::process::ExitCode;

use runward_agent::LockdownEffect;
use runward_event::Tier;
use runward_sensor::{
    Capabilities, Leftover, SensorError, StillRunning, WATCHES, check_machine, leftovers,
};
use serde::Serialize;

use crate::cli::DoctorOptions;
use crate::{exit, output};

/// What `runward doctor --json` prints.
#[derive(Debug, Serialize)]
struct Diagnosis {
    /// `A`, `B`, or nothing when Runward cannot work here.
    tier: Option<Tier>,
    kernel: String,
    /// Why Runward cannot work here.
    problem: Option<String>,
    capabilities: Vec<Finding>,
    /// What `runward run --lockdown` does about each detection here.
    lockdown: Vec<Effect>,
}

#[derive(Debug, Serialize)]
struct Effect {
    detection: &'static str,
    effect: &'static str,
}

/// One capability: whether it is there, what its lack costs, and how to get it.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    present: bool,
    /// The kernel's word when it is not there.
    reason: Option<String>,
    /// What its lack costs.
    cost: &'static str,
    /// How to get it.
    remedy: &'static str,
}

/// The finding without which tier A has no block mode.
const GUARDS: &str = "trampolines that guard the agent";

/// `runward doctor`.
pub(crate) fn doctor(options: &DoctorOptions) -> ExitCode {
    if options.clean {
        return clean();
    }
    let capabilities = Capabilities::probe();
    let diagnosis = diagnose(&capabilities, check_machine());
    let text = if options.json {
        serde_json::to_string_pretty(&diagnosis).unwrap_or_default() + "\n"
    } else {
        page(&diagnosis)
    };
    if let Err(error) = std::io::stdout().write_all(text.as_bytes()) {
        output::say(format_args!("cannot print: {error}"));
    }
    if diagnosis.problem.is_some() {
        ExitCode::from(exit::FAILURE)
    } else {
        ExitCode::SUCCESS
    }
}

/// Removes the fences of runs that are gone. One whose processes still run is needed, and stays.
fn clean() -> ExitCode {
    let found = match leftovers() {
        Ok(found) => found,
        Err(error) => {
            output::say(format_args!(
                "cannot look for what was left behind: {error}; run this as root"
            ));
            return ExitCode::from(exit::FAILURE);
        }
    };
    if found.is_empty() {
        output::say("nothing was left behind");
    }
    let mut code = ExitCode::SUCCESS;
    for leftover in &found {
        match remove(leftover) {
            Ok(()) => output::say(format_args!("removed {}", leftover.folder.display())),
            Err(sentence) => {
                output::say(sentence);
                code = ExitCode::from(exit::FAILURE);
            }
        }
    }
    code
}

/// As [`clean`], and says only what was removed.
pub(crate) fn clean_quietly() {
    for leftover in leftovers().unwrap_or_default() {
        if remove(&leftover).is_ok() {
            output::say(format_args!("removed {}", leftover.folder.display()));
        }
    }
}

fn remove(leftover: &Leftover) -> Result<(), String> {
    let place = leftover.folder.display();
    match &leftover.running {
        StillRunning::Nobody => leftover
            .remove()
            .map_err(|error| format!("cannot remove {place}: {error}")),
        StillRunning::Processes(pids) => {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            Err(format!(
                "{place} stays, because it fences processes that still run; end them first: {}",
                pids.join(", ")
            ))
        }
        StillRunning::Unseen => Err(format!(
            "{place} stays, because it may fence processes that still run: they can't be seen now; try again"
        )),
    }
}

fn diagnose(capabilities: &Capabilities, check: Result<(), SensorError>) -> Diagnosis {
    let problem = check.err().map(|error| error.to_string());
    let yes = |present: bool, reason: &str| {
        if present {
            Ok(())
        } else {
            Err(reason.to_owned())
        }
    };
    let finding = |name, result: Result<(), String>, cost, remedy| Finding {
        name,
        present: result.is_ok(),
        reason: result.err(),
        cost,
        remedy,
    };
    let mut found = vec![
        finding(
            "root",
            yes(capabilities.root, "this process is not root"),
            "nothing can be watched",
            "run with sudo; the command still runs as you",
        ),
        finding(
            "kernel type information",
            yes(capabilities.btf, "there is no /sys/kernel/btf/vmlinux"),
            "nothing can be watched",
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y",
        ),
        finding(
            "cgroup version 2",
            yes(capabilities.cgroup2, "it is not mounted"),
            "connections cannot be watched",
            "mount -t cgroup2 none /sys/fs/cgroup/unified",
        ),
        finding(
            "tracepoints",
            capabilities.tracepoints.clone(),
            "processes cannot be watched",
            "use a kernel built with CONFIG_BPF_EVENTS=y, from 5.17 on",
        ),
        finding(
            "task storage",
            capabilities.task_storage.clone(),
            "processes cannot be attributed to a job",
            "use a kernel from 5.17 on",
        ),
        finding(
            "cgroup programs",
            capabilities.cgroup.clone(),
            "connections cannot be watched",
            "use a kernel built with CONFIG_CGROUP_BPF=y",
        ),
        finding(
            "task storage in cgroup programs",
            capabilities.cgroup_task_storage.clone(),
            "none where trampolines work: they attribute connections instead",
            "use a newer kernel, or one with trampolines",
        ),
        finding(
            "trampolines that watch (fentry)",
            capabilities.fentry.clone(),
            "tier B: bad acts on files and memory are detected, not prevented",
            "use a kernel built with CONFIG_FUNCTION_TRACER=y and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y",
        ),
        finding(
            "trampolines that refuse (fmod_ret)",
            capabilities.fmod_ret.clone(),
            "tier B: bad acts on files and memory are detected, not prevented",
            "as for fentry; and CONFIG_FUNCTION_ERROR_INJECTION=y",
        ),
        finding(
            GUARDS,
            capabilities.guards.clone(),
            "where trampolines that refuse work, block mode does not start; elsewhere, what is named tampering below stands in",
            "use a kernel from 6.1 on, or audit mode",
        ),
        finding(
            "memory of other processes, without trampolines",
            capabilities.memory.clone(),
            "none where trampolines work; elsewhere, reading the CI runner's memory is not seen",
            "use a kernel built with CONFIG_MEMCG=y and tracepoints, or one with trampolines",
        ),
        finding(
            "who mounts something",
            capabilities.mounts.clone(),
            "what is mounted over source files is found without its process, and not in a mount namespace of its own",
            "use a kernel built with CONFIG_SMP=y and tracepoints",
        ),
        finding(
            "BPF as a security module",
            capabilities.lsm.clone(),
            "none where trampolines that refuse work",
            "add bpf to the kernel's lsm= list at boot",
        ),
    ];
    if capabilities.guards.is_err() {
        let watches = WATCHES.iter().zip(&capabilities.watches);
        found.extend(watches.map(|(watch, result)| {
            let remedy = "use a newer kernel, or one with trampolines";
            finding(watch.name, result.clone(), watch.cost, remedy)
        }));
    }
    let tier = capabilities.tier();
    let effects = LockdownEffect::all(tier, tier == Tier::A || capabilities.memory.is_ok());
    let lockdown = match problem {
        None => effects
            .into_iter()
            .map(|(detection, effect)| Effect {
                detection,
                effect: effect.words(),
            })
            .collect(),
        Some(_) => Vec::new(),
    };
    Diagnosis {
        tier: problem.is_none().then_some(tier),
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        problem,
        capabilities: found,
        lockdown,
    }
}

fn page(diagnosis: &Diagnosis) -> String {
    use std::fmt::Write as _;
    let mut page = String::new();
    // Writing to a String does not fail.
    let unguarded = diagnosis
        .capabilities
        .iter()
        .any(|found| found.name == GUARDS && !found.present);
    let _ = match (&diagnosis.tier, &diagnosis.problem) {
        (Some(Tier::A), _) if unguarded => writeln!(
            page,
            "Tier A on Linux {}: audit mode works; block mode does not start, because the agent can't be guarded.",
            diagnosis.kernel
        ),
        (Some(Tier::A), _) => {
            writeln!(
                page,
                "Tier A on Linux {}: everything works.",
                diagnosis.kernel
            )
        }
        (Some(Tier::B), _) => writeln!(
            page,
            "Tier B on Linux {}: everything is recorded; bad acts are detected, not prevented.",
            diagnosis.kernel
        ),
        (None, problem) => writeln!(
            page,
            "Runward cannot work here (Linux {}): {}.",
            diagnosis.kernel,
            problem.as_deref().unwrap_or("unknown reason")
        ),
    };
    page.push('\n');
    let width = diagnosis
        .capabilities
        .iter()
        .map(|found| found.name.len())
        .max()
        .unwrap_or(0);
    for found in &diagnosis.capabilities {
        let mark = if found.present { "yes" } else { "no " };
        let _ = writeln!(page, "  {mark}  {:width$}", found.name);
        if !found.present {
            let indent = "       ";
            let _ = writeln!(
                page,
                "{indent}why   {}",
                found.reason.as_deref().unwrap_or("unknown")
            );
            let _ = writeln!(page, "{indent}cost  {}", found.cost);
            let _ = writeln!(page, "{indent}get   {}", found.remedy);
        }
    }
    lockdown(&mut page, &diagnosis.lockdown);
    page
}

/// What most detections come to is said once.
fn lockdown(page: &mut String, effects: &[Effect]) {
    use std::fmt::Write as _;
    if effects.is_empty() {
        return;
    }
    let usual = LockdownEffect::KilledAfter.words();
    // Writing to a String does not fail.
    let _ = writeln!(
        page,
        "\nIn lockdown (runward run --lockdown LIST), an act is"
    );
    for found in effects.iter().filter(|found| found.effect != usual) {
        let _ = writeln!(page, "  {}: {}", found.detection, found.effect);
    }
    let _ = writeln!(page, "  any other detection: {usual}");
}
