//! How much comes in at once: what batches cost in memory and time is bounded, however many agents send.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::available_parallelism;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use prometheus_client::metrics::counter::Counter;
use runward_store::OrgId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::batch::{self, BatchError, Events};
use crate::auth::Sender;
use crate::metrics::Room;
use crate::problem::Problem;

/// Bytes of one batch as it is sent.
const PACKED_MAX: usize = 16 << 20;
/// Bytes of all batches that are being received or read, in units of [`UNIT`].
const ROOM: usize = (64 << 20) / UNIT;
const UNIT: usize = 1 << 10;
/// What of it the batches with one key may take, so that nobody who stalls stands in the way of others.
const KEY_SHARE: usize = PACKED_MAX / UNIT;
/// And those of one organisation, however many keys it has: there is always room for another one's.
const ORG_SHARE: usize = ROOM / 4 * 3;
/// Holders whose shares are remembered before those that take nothing are forgotten.
const SHARES_MAX: usize = 1000;
/// How long a batch waits for room before its agent is asked to come again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to send a batch for which room is kept.
const SEND_PATIENCE: Duration = Duration::from_secs(30);

/// The room that batches take until they are kept.
#[derive(Debug)]
pub(crate) struct Intake {
    room: Arc<Semaphore>,
    /// Alive as long as a batch is.
    shares: Mutex<HashMap<Holder, Weak<Semaphore>>>,
    /// One batch at a time for each processor: more would not be quicker.
    readers: Arc<Semaphore>,
    /// Batches for which there was no room in time.
    turned_away: Counter,
}

/// Who has a share of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    /// A key, as [`Sender::share`] numbers it.
    Key(i64),
    Org(OrgId),
}

/// A batch as it came, and the room that it takes.
pub(crate) struct Packed {
    pub(crate) bytes: Bytes,
    _room: [OwnedSemaphorePermit; 3],
}

impl Intake {
    pub(crate) fn new(turned_away: Counter) -> Intake {
        let processors = available_parallelism().map_or(1, usize::from);
        Intake {
            room: Arc::new(Semaphore::new(ROOM)),
            shares: Mutex::default(),
            readers: Arc::new(Semaphore::new(processors)),
            turned_away,
        }
    }

    /// For whoever wants to know how full it is.
    pub(crate) fn watched(&self) -> Room {
        Room {
            free: Arc::clone(&self.room),
            units: ROOM,
            unit_bytes: UNIT,
        }
    }

    /// Receives a batch, once there is room for it.
    pub(crate) async fn body(
        &self,
        sender: &Sender,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Packed, Problem> {
        let length = headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        // Who does not say how much it will be gets room for the most.
        let length = length.unwrap_or(PACKED_MAX);
        if length > PACKED_MAX {
            return Err(too_large());
        }
        let units = u32::try_from(length.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(PATIENCE, self.room(sender, units)).await;
        let Ok(Ok(room)) = room else {
            self.turned_away.inc();
            return Err(Problem::unavailable(
                "too many batches come in at once; send this one again later",
            ));
        };
        let bytes = tokio::time::timeout(SEND_PATIENCE, axum::body::to_bytes(body, length)).await;
        match bytes {
            Ok(Ok(bytes)) => Ok(Packed { bytes, _room: room }),
            Ok(Err(_)) => Err(too_large()),
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "the batch came too slowly",
                "send smaller batches, or over a quicker network",
            )),
        }
    }

    /// First the sender's own shares, the smallest one before: who waits for that takes nothing from others.
    async fn room(
        &self,
        sender: &Sender,
        units: u32,
    ) -> Result<[OwnedSemaphorePermit; 3], AcquireError> {
        let key = self.share(Holder::Key(sender.share), KEY_SHARE);
        let key = key.acquire_many_owned(units).await?;
        let org = self.share(Holder::Org(sender.org), ORG_SHARE);
        let org = org.acquire_many_owned(units).await?;
        let room = Arc::clone(&self.room).acquire_many_owned(units).await?;
        Ok([key, org, room])
    }

    fn share(&self, holder: Holder, size: usize) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&holder).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() >= SHARES_MAX {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(size));
        shares.insert(holder, Arc::downgrade(&share));
        share
    }

    /// Reads a batch whose first event has this number. That takes a processor for as long as it lasts, so it does not
    /// stand in the way of other requests.
    pub(crate) async fn read(
        &self,
        packed: Packed,
        first: u64,
    ) -> Result<(Packed, Events), Problem> {
        let failed = || Problem::unavailable("the server could not read the batch");
        let reader = Arc::clone(&self.readers).acquire_owned().await;
        let reader = reader.map_err(|_| failed())?;
        let (packed, events) = tokio::task::spawn_blocking(move || {
            let events = batch::read(&packed.bytes, first);
            drop(reader);
            (packed, events)
        })
        .await
        .map_err(|_| failed())?;
        let events = events.map_err(|error| match error {
            BatchError::TooLarge | BatchError::TooMany => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the batch is too large",
                error.to_string(),
            ),
            other => Problem::bad(other.to_string()),
        })?;
        Ok((packed, events))
    }
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the batch is too large",
        format!(
            "it has more than {PACKED_MAX} bytes, or more than its head says: send smaller ones"
        ),
    )
}
