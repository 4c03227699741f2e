//! The events themselves, as objects that are written once: files in a folder, or a bucket of an S3-compatible store.

mod bucket;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};

pub(crate) use bucket::{Addressing, Bucket, Secret};

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

/// Where events are kept.
#[derive(Clone, Debug)]
pub(crate) struct Objects(Arc<dyn ObjectStore>);

impl Objects {
    /// Keeps them as files in a folder, each on the disk before anybody is told that it is kept.
    pub(crate) fn folder(folder: &Path) -> Result<Objects, ObjectError> {
        let files = LocalFileSystem::new_with_prefix(folder)?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Objects(Arc::new(files)))
    }

    /// Keeps them in a bucket. Nothing is asked of it yet.
    pub(crate) fn bucket(bucket: &Bucket) -> Result<Objects, ObjectError> {
        let prefix = Key::from(bucket.prefix.as_str());
        Ok(Objects(Arc::new(PrefixStore::new(bucket.open()?, prefix))))
    }

    /// Keeps an object, in place of what has this name.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.0.put(&Key::from(key), bytes.into()).await?;
        Ok(())
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        Ok(self.0.get(&Key::from(key)).await?.bytes().await?)
    }

    /// Names of objects below a prefix, which ends where a `/` is or could be; so many at most, in no order.
    pub(crate) async fn list(&self, prefix: &str, most: usize) -> Result<Vec<String>, ObjectError> {
        let prefix = Key::from(prefix);
        let found = self.0.list(Some(&prefix)).take(most);
        let keys = found.map_ok(|object| object.location.to_string());
        Ok(keys.try_collect().await?)
    }

    /// Removes an object. That there is none is no error: somebody else may have been quicker.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "retention, which is not there yet, deletes")
    )]
    pub(crate) async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        match self.0.delete(&Key::from(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}
