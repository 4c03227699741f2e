//! Sends records that could not be sent while their jobs ran, and keeps all of them within their room.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use runward_agent::{Spool, Upload};
use runward_report::text::counted;

use crate::output;

/// How often it looks, when nobody tells it to.
const TICK: Duration = Duration::from_secs(60);
/// How long it waits after a job has ended: its own attendant sends first.
const BREATH: Duration = Duration::from_millis(500);
/// How long it waits at most when the control plane is away.
const PATIENCE: Duration = Duration::from_secs(600);

/// A thread of its own, so that nobody waits for the network.
pub(crate) struct Forwarder {
    tell: Sender<()>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Forwarder {
    pub(crate) fn start(spool: Spool, upload: Option<Upload>) -> Result<Forwarder> {
        let (tell, told) = channel();
        let trouble = Arc::new(Mutex::new(None));
        let shown = Arc::clone(&trouble);
        thread::Builder::new()
            .name("forwarder".to_owned())
            .spawn(move || forward(&spool, upload.as_ref(), &told, &shown))
            .context("cannot start a thread that sends records")?;
        Ok(Forwarder { tell, trouble })
    }

    /// A record is finished.
    pub(crate) fn look(&self) {
        // Its thread ends with this process.
        let _ = self.tell.send(());
    }

    /// Why records wait, if they do.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn forward(
    spool: &Spool,
    upload: Option<&Upload>,
    told: &Receiver<()>,
    trouble: &Mutex<Option<String>>,
) {
    let mut pause = Duration::ZERO;
    loop {
        match told.recv_timeout(pause) {
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(()) => thread::sleep(BREATH),
            Err(RecvTimeoutError::Timeout) => {}
        }
        // Of several records that ended, one look is enough.
        while told.try_recv().is_ok() {}
        let problem = look(spool, upload);
        pause = match problem {
            None => TICK,
            Some(_) => (pause * 2).clamp(TICK / 6, PATIENCE),
        };
        let mut shown = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = &problem
            && shown.as_ref() != Some(problem)
        {
            output::say(problem);
        }
        *shown = problem;
    }
}

/// One look at all records. Returns why some still wait.
fn look(spool: &Spool, upload: Option<&Upload>) -> Option<String> {
    let mut problem = None;
    if let Some(upload) = upload {
        let mut sent = |page: &str, events| {
            output::say(format_args!(
                "a record that waited was sent: {page} ({})",
                counted(events, "event", "events")
            ));
        };
        match spool.forward(upload, &mut sent) {
            Ok(forwarded) => {
                for (folder, error) in forwarded.refused {
                    output::say(format_args!("{}: {error}", folder.display()));
                }
                problem = forwarded.away.map(|error| error.to_string());
            }
            Err(error) => problem = Some(format!("cannot look through the records: {error}")),
        }
    }
    match spool.shrink() {
        Ok(lost) => {
            for folder in lost {
                output::say(format_args!(
                    "{} was removed: records have more than the room that spool-limit gives them",
                    folder.display()
                ));
            }
        }
        Err(error) => problem = Some(format!("cannot make room for records: {error}")),
    }
    problem
}
