//! The policy that the control plane has for a job, and the last one that it had when it is away.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use runward_event::JobIdentity;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::upload::Upload;

/// Asks the control plane for policies, and remembers what it said.
#[derive(Clone, Debug)]
pub struct PolicyStore {
    upload: Upload,
    folder: PathBuf,
}

/// What the control plane says about a job, or has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The policy's name and its text; `None` when there is none for the job.
    pub policy: Option<(String, String)>,
    /// What a reader of the record should know of it, in a sentence.
    pub note: Option<String>,
}

impl Stored {
    /// Of a control plane that says nothing, and has said nothing that is known.
    fn unheard() -> Stored {
        Stored {
            policy: None,
            note: Some(
                "The control plane did not say which policy it has for this job: without it, the policy is what the machine and the pipeline say.".to_owned(),
            ),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    text: String,
}

/// As `GET /api/v1/policy` answers.
#[derive(Deserialize)]
pub(crate) struct Effective {
    policy: Option<InEffect>,
}

#[derive(Deserialize)]
struct InEffect {
    name: String,
    version: i64,
    text: String,
}

impl PolicyStore {
    /// Keeps what it learns in a folder, which is made when it is needed.
    #[must_use]
    pub fn new(upload: Upload, folder: PathBuf) -> PolicyStore {
        PolicyStore { upload, folder }
    }

    /// Asks for the policy of a job. Of a control plane that does not answer, the last one that it had for the job.
    #[must_use]
    pub fn ask(&self, job: &JobIdentity) -> Stored {
        match self.upload.policy(job) {
            Ok(effective) => {
                let policy = effective.policy.map(|policy| {
                    (
                        format!("{} (version {})", policy.name, policy.version),
                        policy.text,
                    )
                });
                // The next job asks again; what can't be kept is missed when the control plane is away.
                let _ = self.keep(&self.place(job), policy.as_ref());
                Stored { policy, note: None }
            }
            Err(error) => self.last(job, &error.to_string()),
        }
    }

    /// The last policy that the control plane had for a job, which does not say one now, and why.
    #[must_use]
    pub fn last(&self, job: &JobIdentity, why: &str) -> Stored {
        let kept = fs::read(self.place(job))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        match kept {
            Some(kept) => Stored {
                note: Some(format!(
                    "The control plane did not say which policy it has for this job ({why}): the last one is in force that it had."
                )),
                policy: Some((kept.name, kept.text)),
            },
            None => Stored::unheard(),
        }
    }

    fn keep(&self, place: &Path, policy: Option<&(String, String)>) -> io::Result<()> {
        let Some((name, text)) = policy else {
            return match fs::remove_file(place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.folder)?;
        let kept = Kept {
            name: name.clone(),
            text: text.clone(),
        };
        // Another job may be at the same.
        let temporary = place.with_extension(std::process::id().to_string());
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?
            .write_all(&serde_json::to_vec(&kept)?)?;
        fs::rename(&temporary, place)
    }

    /// One name for each job of each server: what a job says of itself is no part of a path.
    fn place(&self, job: &JobIdentity) -> PathBuf {
        let mut sha = Sha256::new();
        let provider = format!("{:?}", job.provider);
        let parts = [
            Some(self.upload.server()),
            Some(provider.as_str()),
            job.project.as_deref(),
            job.pipeline.as_deref(),
            job.job.as_deref(),
        ];
        for part in parts {
            let part = part.unwrap_or_default();
            sha.update(part.len().to_le_bytes());
            sha.update(part);
        }
        let name = sha.finalize().iter().fold(String::new(), |mut name, byte| {
            // Writing to a String does not fail.
            let _ = write!(name, "{byte:02x}");
            name
        });
        self.folder.join(name)
    }
}
