//! What holds for every job of this machine: the settings, read and found right before anything is watched.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use runward_agent::{SETTINGS_MAX, Settings, Upload};
use runward_detect::Observer;
use runward_event::Mode;

use crate::cli::PolicySources;
use crate::policy::sources::{Failure, Inputs};
use crate::{fail_on, output, policy, rules, upload};

/// The longest key of a control plane, in bytes.
const KEY_MAX: u64 = 4096;

/// The machine's settings, and what follows from them.
pub(crate) struct Machine {
    settings: Settings,
    pub(crate) mode: Mode,
    /// Where the machine's policy is written.
    pub(crate) sources: Vec<String>,
    key: Option<String>,
}

impl Machine {
    /// Reads the settings and everything that they name. A file that isn't there is one without settings.
    pub(crate) fn read(path: &Path) -> Result<Machine> {
        let settings = settings(path)?;
        let policy = policy::read(&Inputs {
            flags: &PolicySources {
                allowed_endpoints: settings.allowed_endpoints.clone(),
                denied_endpoints: settings.denied_endpoints.clone(),
                egress_policy: settings.egress_policy.clone(),
            },
            file: settings.policy.as_deref(),
            workspace: None,
            variable: None,
        });
        let read = match policy {
            Ok(read) => read,
            Err(failure) => {
                policy::refuse(&failure, false);
                return Err(match failure {
                    Failure::Input(error) => error,
                    Failure::Policy(_) => anyhow::anyhow!(
                        "the policy of {} has errors, so no job can be watched",
                        path.display()
                    ),
                });
            }
        };
        policy::tell_warnings(&read.warnings);
        let rules = settings.rules.as_deref().map(rules::of_job).transpose()?;
        let abouts = rules.as_ref().map_or(&[][..], Observer::abouts);
        fail_on::parse("lockdown", &settings.lockdown, abouts)?;
        let key = key(&settings)?;
        Ok(Machine {
            mode: read.policy.mode(),
            sources: policy::written_in(&read.policy),
            key,
            settings,
        })
    }

    /// Bytes that finished records may take.
    pub(crate) fn spool_limit(&self) -> u64 {
        self.settings.spool_limit_mib.saturating_mul(1 << 20)
    }

    /// The way to the control plane, if there is one.
    pub(crate) fn upload(&self) -> Result<Option<Upload>> {
        let server = self.settings.server.as_deref();
        server
            .map(|server| upload::with_key(server, self.key.as_deref().unwrap_or_default()))
            .transpose()
    }

    /// The key is handed over where other users can't see it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, &str)> {
        self.key
            .iter()
            .map(|key| (upload::KEY, key.as_str()))
            .collect()
    }

    /// The options of an attendant.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let settings = &self.settings;
        let mut options = Vec::new();
        let mut add = |name: &str, value: OsString| {
            let mut option = OsString::from(name);
            option.push("=");
            option.push(value);
            options.push(option);
        };
        let texts = [
            ("--egress-policy", &settings.egress_policy),
            ("--allowed-endpoints", &settings.allowed_endpoints),
            ("--denied-endpoints", &settings.denied_endpoints),
            ("--server", &settings.server),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                add(name, value.into());
            }
        }
        let paths = [("--policy", &settings.policy), ("--rules", &settings.rules)];
        for (name, value) in paths {
            if let Some(value) = value {
                add(name, value.into());
            }
        }
        for list in &settings.block_lists {
            add("--block-list", list.into());
        }
        if !settings.lockdown.is_empty() {
            add("--lockdown", settings.lockdown.join(",").into());
        }
        options
    }
}

fn settings(path: &Path) -> Result<Settings> {
    let cannot = || format!("cannot read the settings {}", path.display());
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file
            .take(SETTINGS_MAX + 1)
            .read_to_string(&mut text)
            .with_context(cannot)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            output::say(format_args!(
                "{} is not there: jobs are watched in audit mode, and records stay on this machine",
                path.display()
            ));
            0
        }
        Err(error) => return Err(error).with_context(cannot),
    };
    if text.len() as u64 > SETTINGS_MAX {
        bail!(
            "{} has more than 64 KiB: it is no file of settings",
            path.display()
        );
    }
    Settings::parse(&text).map_err(|faults| {
        for fault in faults {
            output::say(format_args!("{}:{fault}", path.display()));
        }
        anyhow::anyhow!("{} has errors, so no job can be watched", path.display())
    })
}

/// The key of the control plane: from the file that the settings name, or else from the environment.
fn key(settings: &Settings) -> Result<Option<String>> {
    if settings.server.is_none() {
        return Ok(None);
    }
    if let Some(path) = &settings.key_file {
        return read_key(path).map(Some);
    }
    std::env::var(upload::KEY).map(Some).with_context(|| {
        format!(
            "there is a server and no key for it: write `key-file` into the settings, or {} into /etc/runward/agent.env",
            upload::KEY
        )
    })
}

fn read_key(path: &PathBuf) -> Result<String> {
    let mut key = String::new();
    File::open(path)
        .and_then(|file| file.take(KEY_MAX).read_to_string(&mut key))
        .with_context(|| format!("cannot read the key in {}", path.display()))?;
    let key = key.trim();
    if key.is_empty() {
        bail!(
            "{} is empty: write the server's key into it",
            path.display()
        );
    }
    Ok(key.to_owned())
}
