//! Secrets that have to be used again, and therefore can't be kept as hashes: they are sealed (ChaCha20-Poly1305) with a
//! key that is not in the database. So a copy of the database alone gives none of them away.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use runward_store::Sealed;
use sha2::{Digest as _, Sha256};

use crate::config::Config;

/// The key's name in the data folder.
const FILE: &str = "secret.key";
/// Bytes of the key.
const BYTES: usize = 32;
/// Bytes of its hash by which it is known; too few to be of use to whoever guesses.
const KNOWN_BY: usize = 6;

/// Where the key is, and the key once it was needed.
pub(super) struct Seal {
    place: Place,
    key: OnceLock<Key>,
}

enum Place {
    /// Somebody made it.
    Given(PathBuf),
    /// It is made when it is needed.
    Made(PathBuf),
    /// Several servers share the database, and each would make one of its own.
    Nowhere,
}

struct Key {
    sealing: LessSafeKey,
    name: String,
}

/// Why a secret can't be sealed or opened: a sentence for who runs the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(
        "the servers on this database need one key for secrets: make it with `head -c 32 /dev/urandom | base64`, and give all of them its file with --secret-key-file"
    )]
    NoKey,
    #[error("the key for secrets can't be read or made at {0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("the key for secrets in {0} is not 32 bytes in base64")]
    NotAKey(PathBuf),
    #[error(
        "it was sealed with another key for secrets: give this server the same --secret-key-file"
    )]
    OtherKey,
    #[error("it was changed since it was sealed")]
    Broken,
    #[error("there is no randomness")]
    NoRandomness,
}

impl Seal {
    pub(super) fn new(config: &Config) -> Seal {
        let place = match (&config.notify.key_file, &config.database) {
            (Some(file), _) => Place::Given(file.clone()),
            (None, None) => Place::Made(config.data.join(FILE)),
            (None, Some(_)) => Place::Nowhere,
        };
        Seal {
            place,
            key: OnceLock::new(),
        }
    }

    /// By which the key is known; empty as long as none was needed.
    pub(super) fn name(&self) -> Result<&str, SealError> {
        match &self.place {
            Place::Made(file) if self.key.get().is_none() && !file.exists() => Ok(""),
            _ => Ok(&self.key()?.name),
        }
    }

    /// Seals a text for what is called `whose`, and for nothing else.
    pub(super) fn seal(&self, whose: &str, text: &str) -> Result<Sealed, SealError> {
        let key = self.key()?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let mut sealed = text.as_bytes().to_vec();
        key.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(whose.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Broken)?;
        let all = [nonce.as_slice(), &sealed].concat();
        Ok(Sealed {
            key: key.name.clone(),
            text: BASE64.encode(all),
        })
    }

    /// Opens what was sealed for the same.
    pub(super) fn open(&self, whose: &str, sealed: &Sealed) -> Result<String, SealError> {
        let key = self.key()?;
        if key.name != sealed.key {
            return Err(SealError::OtherKey);
        }
        let all = BASE64.decode(&sealed.text).map_err(|_| SealError::Broken)?;
        let (nonce, text) = all.split_at_checked(NONCE_LEN).ok_or(SealError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
        let mut text = text.to_vec();
        let opened = key
            .sealing
            .open_in_place(nonce, Aad::from(whose.as_bytes()), &mut text)
            .map_err(|_| SealError::Broken)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SealError::Broken)
    }

    fn key(&self) -> Result<&Key, SealError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = match &self.place {
            Place::Given(file) => read(file)?,
            Place::Made(file) => {
                make(file).map_err(|error| SealError::File(file.clone(), error))?;
                read(file)?
            }
            Place::Nowhere => return Err(SealError::NoKey),
        };
        Ok(self.key.get_or_init(|| key))
    }
}

fn read(file: &Path) -> Result<Key, SealError> {
    let text = fs::read_to_string(file);
    let text = text.map_err(|error| SealError::File(file.to_owned(), error))?;
    let not_a_key = || SealError::NotAKey(file.to_owned());
    let bytes = BASE64.decode(text.trim()).map_err(|_| not_a_key())?;
    if bytes.len() != BYTES {
        return Err(not_a_key());
    }
    let sealing = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| not_a_key())?;
    let hash = Sha256::digest(&bytes);
    let known_by = hash.iter().take(KNOWN_BY);
    Ok(Key {
        sealing: LessSafeKey::new(sealing),
        name: known_by.map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// Makes a key, unless there is one. Of several that try at once, one key stays: it gets its name when it is complete.
fn make(file: &Path) -> std::io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let mut mark = [0; 8];
    getrandom::fill(&mut mark).map_err(std::io::Error::other)?;
    let draft = file.with_extension(format!("key.{:016x}", u64::from_ne_bytes(mark)));
    let mut options = OpenOptions::new();
    let mut made = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    made.write_all(BASE64.encode(bytes).as_bytes())?;
    made.write_all(b"\n")?;
    made.sync_all()?;
    let named = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match named {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(file: &Path) -> Seal {
        Seal {
            place: Place::Made(file.to_owned()),
            key: OnceLock::new(),
        }
    }

    #[test]
    fn a_secret_is_opened_by_whom_it_was_sealed_for_and_with_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data").join(FILE);
        let seal = at(&file);
        let sealed = seal.seal("one", "hush").unwrap();
        assert!(!sealed.text.contains("hush"));
        assert_ne!(seal.seal("one", "hush").unwrap(), sealed, "each is another");
        assert_eq!(at(&file).open("one", &sealed).unwrap(), "hush");
        assert!(matches!(seal.open("two", &sealed), Err(SealError::Broken)));
        let mut bytes = BASE64.decode(&sealed.text).unwrap();
        bytes[NONCE_LEN] ^= 1;
        for text in [BASE64.encode(bytes), String::new(), "?".to_owned()] {
            let changed = Sealed {
                text,
                ..sealed.clone()
            };
            assert!(matches!(seal.open("one", &changed), Err(SealError::Broken)));
        }
        let other = at(&folder.path().join("other"));
        assert!(matches!(
            other.open("one", &sealed),
            Err(SealError::OtherKey)
        ));
    }

    #[test]
    fn the_key_is_made_once_and_is_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let names: Vec<String> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| at(&file).seal("one", "hush").unwrap().key))
                .collect();
            makers.into_iter().map(|m| m.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]));
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&file, "short").unwrap();
        assert!(matches!(at(&file).name(), Err(SealError::NotAKey(_))));
    }

    #[test]
    fn servers_on_one_database_have_to_be_given_a_key() {
        let nowhere = Seal {
            place: Place::Nowhere,
            key: OnceLock::new(),
        };
        assert!(matches!(nowhere.name(), Err(SealError::NoKey)));
        let missing = Seal {
            place: Place::Given("/nonexistent/key".into()),
            key: OnceLock::new(),
        };
        assert!(matches!(missing.name(), Err(SealError::File(..))));
    }
}
