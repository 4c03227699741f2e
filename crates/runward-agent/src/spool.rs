//! Records on this machine: one folder for each job, until the control plane has them.
//!
//! Who records a job holds its folder locked. A folder that nobody holds is finished, whether the job came to its end or
//! who recorded it was killed, and can be sent. What the control plane has for good is marked, and removed; when all of
//! it takes too much room, the oldest goes first.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use crate::folder::EVENTS;
use crate::upload::{Upload, UploadError};

/// Marks a folder whose record the control plane has.
const SENT: &str = "sent";
/// Marks one whose record it will never take.
const REFUSED: &str = "refused";

/// The folder with the records of a machine.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    limit: u64,
}

/// A record that is not being written any more.
#[derive(Debug)]
struct Finished {
    folder: PathBuf,
    since: SystemTime,
    bytes: u64,
    state: State,
    /// Nobody else takes it as long as this is open.
    _lock: std::os::fd::OwnedFd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Sent,
    Refused,
}

/// What is in a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spooled {
    /// Finished records that the control plane has not got.
    pub waiting: usize,
    /// What all finished records take, in bytes.
    pub bytes: u64,
}

/// What became of the records that waited.
#[derive(Debug, Default)]
pub struct Forwarded {
    /// Those that the control plane will never take, and why. They are kept, and not sent again.
    pub refused: Vec<(PathBuf, UploadError)>,
    /// Why the rest waits.
    pub away: Option<UploadError>,
}

impl Spool {
    /// A spool in a folder, which is made if it is not there. `limit`: the bytes that finished records may take.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Spool> {
        // Records hold what jobs did, arguments and all: for root alone, whatever the folder above allows.
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        Ok(Spool {
            folder: folder.to_path_buf(),
            limit,
        })
    }

    /// A place for the record of a job that begins now. Later ones have names that sort behind earlier ones.
    pub fn place(&self, root: u32) -> PathBuf {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or(Duration::ZERO).as_millis();
        self.folder.join(format!("{now:013}-{root}"))
    }

    /// Says that the control plane has all of a record, whose folder this is.
    pub fn mark_sent(folder: &Path) -> io::Result<()> {
        File::create(folder.join(SENT)).map(drop)
    }

    /// What waits here.
    pub fn look(&self) -> io::Result<Spooled> {
        let finished = self.finished()?;
        Ok(Spooled {
            waiting: finished
                .iter()
                .filter(|record| record.state == State::Waits)
                .count(),
            bytes: finished.iter().map(|record| record.bytes).sum(),
        })
    }

    /// Sends what waits, oldest first, and removes what was sent. Stops at the first that can't be sent now.
    ///
    /// `sent_all` is told the page of each record and how many events it has, before it is removed: whoever is killed in between
    /// sends it again, which changes nothing, and nothing is sent that nobody was told of.
    pub fn forward(
        &self,
        upload: &Upload,
        sent_all: &mut dyn FnMut(&str, u64),
    ) -> io::Result<Forwarded> {
        let mut forwarded = Forwarded::default();
        for record in self.finished()? {
            match record.state {
                State::Waits => {}
                State::Refused => continue,
                State::Sent => {
                    fs::remove_dir_all(&record.folder)?;
                    continue;
                }
            }
            let sent = File::open(record.folder.join(EVENTS))
                .map_err(UploadError::Read)
                .and_then(|events| upload.record(events));
            match sent {
                Ok(uploaded) => {
                    sent_all(&upload.page(&uploaded.run), uploaded.events);
                    fs::remove_dir_all(&record.folder)?;
                }
                Err(error @ UploadError::Away(_)) => {
                    forwarded.away = Some(error);
                    break;
                }
                // Who recorded it was killed before anything was written.
                Err(UploadError::Empty) => fs::remove_dir_all(&record.folder)?,
                Err(UploadError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {
                    fs::remove_dir_all(&record.folder)?;
                }
                Err(error) => {
                    File::create(record.folder.join(REFUSED))?;
                    forwarded.refused.push((record.folder, error));
                }
            }
        }
        Ok(forwarded)
    }

    /// Removes the oldest finished records until the rest is within the limit. Returns those that were lost: the control
    /// plane has not got them.
    pub fn shrink(&self) -> io::Result<Vec<PathBuf>> {
        let finished = self.finished()?;
        let mut bytes: u64 = finished.iter().map(|record| record.bytes).sum();
        let mut lost = Vec::new();
        // First what is nobody's loss.
        let (sent, unsent): (Vec<_>, Vec<_>) = finished
            .into_iter()
            .partition(|record| record.state == State::Sent);
        for record in sent.into_iter().chain(unsent) {
            if bytes <= self.limit {
                break;
            }
            fs::remove_dir_all(&record.folder)?;
            bytes -= record.bytes;
            if record.state != State::Sent {
                lost.push(record.folder);
            }
        }
        Ok(lost)
    }

    /// Records that nobody writes, oldest first.
    fn finished(&self) -> io::Result<Vec<Finished>> {
        let mut finished = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            finished.extend(Finished::of(entry.path())?);
        }
        finished.sort_by(|a, b| (a.since, &a.folder).cmp(&(b.since, &b.folder)));
        Ok(finished)
    }
}

impl Finished {
    fn of(folder: PathBuf) -> io::Result<Option<Finished>> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = match open(&folder, flags, Mode::empty()) {
            Ok(lock) => lock,
            // Removed meanwhile.
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        let mut bytes = 0;
        let mut state = State::Waits;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            bytes += entry.metadata()?.len();
            let name = entry.file_name();
            if name == SENT {
                state = State::Sent;
            } else if name == REFUSED {
                state = State::Refused;
            }
        }
        let since = fs::metadata(folder.join(EVENTS))
            .and_then(|events| events.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Some(Finished {
            folder,
            since,
            bytes,
            state,
            _lock: lock,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::ReportFolder;

    fn record(spool: &Spool, name: &str, bytes: usize, age: u64) -> PathBuf {
        let folder = spool.folder.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(EVENTS), vec![b'x'; bytes]).unwrap();
        let events = File::options()
            .write(true)
            .open(folder.join(EVENTS))
            .unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        events.set_modified(then).unwrap();
        folder
    }

    #[test]
    fn the_oldest_goes_first_and_what_was_sent_before_it() {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::open(place.path(), 250).unwrap();
        let oldest = record(&spool, "b", 100, 30);
        let older = record(&spool, "a", 100, 20);
        let sent = record(&spool, "c", 100, 10);
        Spool::mark_sent(&sent).unwrap();
        let young = record(&spool, "d", 100, 1);
        assert_eq!(
            spool.look().unwrap(),
            Spooled {
                waiting: 3,
                bytes: 400
            }
        );
        assert_eq!(spool.shrink().unwrap(), [oldest]);
        assert!(!sent.exists() && older.exists() && young.exists());
        assert_eq!(spool.shrink().unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_record_that_is_being_written_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::open(&place.path().join("spool"), 0).unwrap();
        let folder = ReportFolder::create(&spool.place(7), None).unwrap();
        folder.create_file(EVENTS).unwrap();
        assert_eq!(spool.look().unwrap(), Spooled::default());
        assert_eq!(spool.shrink().unwrap(), Vec::<PathBuf>::new());
        drop(folder);
        assert_eq!(spool.look().unwrap().waiting, 1);
    }
}
