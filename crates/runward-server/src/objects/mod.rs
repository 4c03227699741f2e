//! The events themselves, as objects that are written once: files in a folder, or a bucket of an S3-compatible store.

mod bucket;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tracing::field::Empty;
use tracing::{Instrument as _, info_span};

pub(crate) use bucket::{Addressing, Bucket, Secret};

use crate::metrics::ObjectMetrics;

/// An object store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    /// It is not there, and won't be later.
    #[error("the object {0} is not there")]
    Missing(String),
    /// The same may work later. Whether something was changed is not known; no object is ever half written.
    #[error("events can't be kept or read now: {0}")]
    Unavailable(object_store::Error),
}

impl From<object_store::Error> for ObjectError {
    fn from(error: object_store::Error) -> ObjectError {
        match error {
            object_store::Error::NotFound { path, .. } => ObjectError::Missing(path),
            other => ObjectError::Unavailable(other),
        }
    }
}

/// Objects that are deleted at once: most of the time goes by waiting for the store.
const DELETES: usize = 8;

/// Where events are kept.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The folder that it is, if it is one.
    folder: Option<PathBuf>,
    metrics: ObjectMetrics,
}

impl Objects {
    /// Keeps them as files in a folder, each on the disk before anybody is told that it is kept.
    pub(crate) fn folder(folder: &Path) -> Result<Objects, ObjectError> {
        let files = LocalFileSystem::new_with_prefix(folder)?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Objects::new(files, Some(folder.to_owned())))
    }

    /// Keeps them in a bucket. Nothing is asked of it yet.
    pub(crate) fn bucket(bucket: &Bucket) -> Result<Objects, ObjectError> {
        let prefix = Key::from(bucket.prefix.as_str());
        Ok(Objects::new(PrefixStore::new(bucket.open()?, prefix), None))
    }

    fn new(store: impl ObjectStore, folder: Option<PathBuf>) -> Objects {
        Objects {
            store: Arc::new(store),
            folder,
            metrics: ObjectMetrics::default(),
        }
    }

    /// The same, whose operations are counted here.
    #[must_use]
    pub(crate) fn counting(mut self, metrics: ObjectMetrics) -> Objects {
        self.metrics = metrics;
        self
    }

    /// Does an operation, which is counted, and a span of a trace. No name of an object is told: it has a run's in it.
    async fn done<T>(
        &self,
        operation: &'static str,
        done: impl Future<Output = Result<T, ObjectError>>,
    ) -> Result<T, ObjectError> {
        let span = info_span!(
            "object",
            otel.name = format!("object.{operation}"),
            otel.kind = "client",
            otel.status_code = Empty,
        );
        let done = self.metrics.count(operation, done);
        let done = done.instrument(span.clone()).await;
        if let Err(ObjectError::Unavailable(_)) = done {
            span.record("otel.status_code", "ERROR");
        }
        done
    }

    /// Keeps an object, in place of what has this name.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let put = async {
            self.store.put(&Key::from(key), bytes.into()).await?;
            Ok(())
        };
        self.done("put", put).await
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        let got = async { Ok(self.store.get(&Key::from(key)).await?.bytes().await?) };
        self.done("get", got).await
    }

    /// Names of objects below a prefix, which ends where a `/` is or could be; so many at most, in no order.
    pub(crate) async fn list(&self, prefix: &str, most: usize) -> Result<Vec<String>, ObjectError> {
        let prefix = Key::from(prefix);
        let found = self.store.list(Some(&prefix)).take(most);
        let keys = found.map_ok(|object| object.location.to_string());
        let listed = async { Ok(keys.try_collect().await?) };
        self.done("list", listed).await
    }

    /// Removes an object. That there is none is no error: somebody else may have been quicker.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let deleted = async {
            match self.store.delete(&Key::from(key)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(other) => Err(other.into()),
            }
        };
        self.done("delete", deleted).await
    }

    /// Removes objects, as [`Objects::delete`] does. Where one can't be, others may be gone all the same.
    pub(crate) async fn delete_all(&self, keys: Vec<String>) -> Result<(), ObjectError> {
        stream::iter(keys)
            .map(|key| async move { self.delete(&key).await })
            .buffer_unordered(DELETES)
            .try_collect()
            .await
    }

    /// Removes whatever lies below a prefix, so much at most; how many objects there were. In a folder, also what is left
    /// of those that were being written when a server broke off, which no list has.
    pub(crate) async fn sweep(&self, prefix: &str, most: usize) -> Result<usize, ObjectError> {
        let Some(folder) = &self.folder else {
            let found = self.list(prefix, most).await?;
            let count = found.len();
            self.delete_all(found).await?;
            return Ok(count);
        };
        let folder = folder.join(prefix);
        let swept = tokio::task::spawn_blocking(move || sweep_folder(&folder, most)).await;
        let swept = swept.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        swept.map_err(|error| {
            ObjectError::Unavailable(object_store::Error::Generic {
                store: "LocalFileSystem",
                source: Box::new(error),
            })
        })
    }
}

/// Removes the files of a folder, and the folder once it has none.
fn sweep_folder(folder: &Path, most: usize) -> std::io::Result<usize> {
    let found = match std::fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut count = 0;
    for entry in found.take(most) {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            continue;
        }
        match std::fs::remove_file(entry.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => count += 1,
        }
    }
    // It is not empty, or another server was quicker: neither is any harm.
    let _ = std::fs::remove_dir(folder);
    Ok(count)
}
