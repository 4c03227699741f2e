use std::fs::File;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use runward_agent::{EVENTS, Upload};

use crate::cli::UploadOptions;
use crate::{exit, output};

/// The variable with the key. Not an option, because other processes can read those.
pub(crate) const KEY: &str = "RUNWARD_API_KEY";
/// The variable that names this machine otherwise than the kernel does.
const HOST: &str = "RUNWARD_HOST";

/// `runward upload`.
pub(crate) fn upload(options: &UploadOptions) -> ExitCode {
    match send(options) {
        Ok(sentence) => {
            output::say(sentence);
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::say(format_args!("{error:#}"));
            ExitCode::from(exit::FAILURE)
        }
    }
}

fn send(options: &UploadOptions) -> Result<String> {
    let upload = to_server(&options.server)?;
    let path = options.report.join(EVENTS);
    let events = File::open(&path).with_context(|| {
        format!(
            "cannot read {}: name the folder of a report",
            path.display()
        )
    })?;
    let uploaded = upload.record(events)?;
    Ok(format!(
        "the server has {} of this run: {}",
        runward_report::text::counted(uploaded.events, "event", "events"),
        upload.page(&uploaded.run)
    ))
}

/// A way to a server, with the key that the environment has for it.
pub(crate) fn to_server(address: &str) -> Result<Upload> {
    let key = std::env::var(KEY).with_context(|| {
        format!("{KEY} is not set: make a key on the server's page Settings, and put it there")
    })?;
    with_key(address, &key)
}

/// A way to a server, with a key of it.
pub(crate) fn with_key(address: &str, key: &str) -> Result<Upload> {
    // In a pod, what the kernel calls this machine is the pod's name.
    let host = std::env::var(HOST).ok().filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    });
    Ok(Upload::new(address, key.trim(), &host)?)
}
