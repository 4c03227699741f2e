//! `runward install` and `runward uninstall`: the agent as a service on machines without packages.

mod systemd;
mod tree;

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::cli::{InstallOptions, UninstallOptions};
use crate::{doctor, exit, output};
use systemd::systemctl;
use tree::{Tree, Written};

/// The unit as packages install it, and the path in it that is theirs.
const UNIT: &str = include_str!("../../../integrations/systemd/runward-agent.service");
const PACKAGED: &str = "/usr/bin/runward";
const CONFIGURATION: &str = include_str!("../../../integrations/agent.yml");

const SERVICE: &str = "runward-agent.service";
// Where everything lies, below the root.
const PROGRAM_PATH: &str = "usr/local/bin/runward";
const UNIT_PATH: &str = "etc/systemd/system/runward-agent.service";
const CONFIGURATION_PATH: &str = "etc/runward/agent.yml";
const KEY_PATH: &str = "etc/runward/agent.env";
const CONFIGURATION_FOLDER: &str = "etc/runward";
const SPOOL: &str = "var/lib/runward/spool";
const STATE_FOLDER: &str = "var/lib/runward";
/// One folder for each job under watch.
const JOBS: &str = "run/runward/jobs";
/// Where packages put the unit.
const UNITS_OF_PACKAGES: [&str; 2] = [
    "usr/lib/systemd/system/runward-agent.service",
    "lib/systemd/system/runward-agent.service",
];
/// How many jobs are named; of more, the number is told.
const NAMED_MAX: usize = 5;

/// `runward install`.
pub(crate) fn install(options: &InstallOptions) -> ExitCode {
    tell(put_in(options))
}

/// `runward uninstall`.
pub(crate) fn uninstall(options: &UninstallOptions) -> ExitCode {
    tell(take_out(options))
}

fn tell(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(format_args!("{error:#}"));
            ExitCode::from(exit::FAILURE)
        }
    }
}

fn put_in(options: &InstallOptions) -> Result<()> {
    let tree = open(options.root.as_deref(), "install")?;
    for path in UNITS_OF_PACKAGES {
        // Below `lib` only where that is a folder of its own: it is a link on most machines.
        if tree.has(path).unwrap_or(false) {
            bail!(
                "{} shows that Runward is installed as a package here: update that package, or remove it first",
                tree.shown(path)
            );
        }
    }
    let mut program = File::open("/proc/self/exe").context("cannot read this program's file")?;
    let unit = UNIT.replace(PACKAGED, &format!("/{PROGRAM_PATH}"));
    say(
        &tree,
        PROGRAM_PATH,
        tree.write(PROGRAM_PATH, 0o755, &mut program, true)?,
    );
    say(
        &tree,
        UNIT_PATH,
        tree.write(UNIT_PATH, 0o644, &mut unit.as_bytes(), true)?,
    );
    let configuration = &mut CONFIGURATION.as_bytes();
    say(
        &tree,
        CONFIGURATION_PATH,
        tree.write(CONFIGURATION_PATH, 0o644, configuration, false)?,
    );
    if let Some(root) = &options.root {
        output::say(format_args!(
            "nothing was started; enable the service in the image with `systemctl --root={} enable {SERVICE}`",
            root.display()
        ));
        return Ok(());
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--quiet", SERVICE])?;
    if options.no_start {
        output::say(format_args!(
            "enabled {SERVICE}; start it with `systemctl start {SERVICE}`"
        ));
        return Ok(());
    }
    // An older one may run, and has to become this one. Jobs stay fenced meanwhile.
    systemctl(&["restart", SERVICE]).with_context(|| {
        format!("the service does not start; `journalctl -u {SERVICE}` tells why")
    })?;
    output::say(format_args!("enabled and started {SERVICE}"));
    Ok(())
}

fn take_out(options: &UninstallOptions) -> Result<()> {
    let tree = open(options.root.as_deref(), "uninstall")?;
    let jobs = tree.names(JOBS)?;
    if !jobs.is_empty() && !options.force {
        let shown = jobs.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>();
        bail!(
            "{} under watch ({}{}): wait for the end, or give --force: these stay watched, later ones are not",
            match jobs.len() {
                1 => "1 job is".to_owned(),
                many => format!("{many} jobs are"),
            },
            shown.join(", "),
            if jobs.len() > NAMED_MAX { ", …" } else { "" }
        );
    }
    let live = options.root.is_none();
    if live && tree.has(UNIT_PATH)? {
        systemctl(&["disable", "--quiet", "--now", SERVICE])?;
        output::say(format_args!("stopped and disabled {SERVICE}"));
    }
    let mut found = false;
    for path in [UNIT_PATH, PROGRAM_PATH] {
        if tree.remove(path)? {
            found = true;
            output::say(format_args!("removed {}", tree.shown(path)));
        }
    }
    if live {
        systemctl(&["daemon-reload"])?;
        // Fences that the agent held and that fence nobody any more.
        doctor::clean_quietly();
    }
    if !found {
        output::say("nothing was installed here by `runward install`");
    }
    if options.purge {
        return purge(&tree);
    }
    for path in [CONFIGURATION_FOLDER, STATE_FOLDER] {
        if tree.has(path)? {
            output::say(format_args!(
                "kept {}; --purge removes what is Runward's there",
                tree.shown(path)
            ));
        }
    }
    Ok(())
}

/// Removes configuration and spool by name, and their folders when nothing else is in them.
fn purge(tree: &Tree) -> Result<()> {
    for path in [CONFIGURATION_PATH, KEY_PATH] {
        if tree.remove(path)? {
            output::say(format_args!("removed {}", tree.shown(path)));
        }
    }
    if tree.remove_all(SPOOL)? {
        output::say(format_args!("removed {}", tree.shown(SPOOL)));
    }
    for folder in [CONFIGURATION_FOLDER, STATE_FOLDER] {
        if !tree.remove_empty(folder)? && tree.has(folder)? {
            // A control plane keeps its data in the same folder unless it is told otherwise.
            output::say(format_args!(
                "kept {}, because there is something in it that is not the agent's",
                tree.shown(folder)
            ));
        }
    }
    Ok(())
}

/// The root to work below. An error where this could not be done to the end.
fn open(root: Option<&Path>, what: &str) -> Result<Tree> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root may do this: run `sudo runward {what}`");
    }
    if root.is_none() && !systemd::runs() {
        bail!(
            "systemd does not run this machine: let its own service manager start `runward agent`, use `runward run` \
             without a service, or name an image's folder with --root"
        );
    }
    Tree::open(root.unwrap_or(Path::new("/")))
}

fn say(tree: &Tree, path: &str, written: Written) {
    let did = match written {
        Written::New => "wrote",
        Written::Replaced => "replaced",
        Written::Kept => "kept",
    };
    output::say(format_args!("{did} {}", tree.shown(path)));
}
