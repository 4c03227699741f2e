use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Channel, Millis, NewChannel, OrgId, Page, PageRequest, Parcel, Severity, StoreError};

/// Messages that wait for one channel. What comes on top of these is gathered in one more.
pub const WAITING_MAX: i64 = 100;
/// Outcomes of jobs that wait for one channel. Each stands at a commit of its own, so they are not gathered; the one that
/// has waited longest is given up for the next.
pub const OUTCOMES_WAITING_MAX: i64 = 2_000;
/// Messages of one channel that a worker takes at a time.
pub const TAKEN_MAX: u32 = 10;

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It has not arrived yet, and is still tried.
    Waiting,
    /// It has arrived.
    Delivered,
    /// It was given up; a person can send it again.
    Dead,
}

impl DeliveryState {
    /// Every one.
    pub const ALL: [DeliveryState; 3] = [
        DeliveryState::Waiting,
        DeliveryState::Delivered,
        DeliveryState::Dead,
    ];

    /// Its name in addresses and JSON.
    pub fn word(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
        }
    }

    /// The one of this name.
    pub fn parse(word: &str) -> Option<DeliveryState> {
        DeliveryState::ALL
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// One message to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number; grows.
    pub id: i64,
    /// The channel's number.
    pub channel: i64,
    /// The channel's name.
    pub channel_name: String,
    /// What has become of it.
    pub state: DeliveryState,
    /// Whether a person tried the channel with it.
    pub test: bool,
    /// The gravest severity in it.
    pub severity: Severity,
    /// The first thing in it, in one sentence.
    pub what: String,
    /// How many things are in it.
    pub count: i64,
    /// When the first of them was found.
    pub created_at: Millis,
    /// When it is tried next, while it waits.
    pub due_at: Millis,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was tried last.
    pub attempted_at: Option<Millis>,
    /// When it arrived or was given up.
    pub ended_at: Option<Millis>,
    /// Why it did not arrive when it was tried last.
    pub error: Option<String>,
}

/// Which messages are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To one channel.
    pub channel: Option<i64>,
    /// In one state.
    pub state: Option<DeliveryState>,
}

/// Messages that a worker has taken, to deliver them one after the other.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Where they go.
    pub channel: Channel,
    /// The organisation's name in addresses.
    pub org_slug: String,
    /// The organisation's name for people.
    pub org_name: String,
    /// The messages, in their order.
    pub messages: Vec<Due>,
}

/// A message that is to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its number.
    pub id: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was due for the first time.
    pub since: Millis,
    /// When the first thing in it was found.
    pub created_at: Millis,
    /// What is in it.
    pub parcel: Parcel,
}

/// What came of trying to deliver a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It arrived.
    Delivered,
    /// It did not, and is tried again.
    Later {
        /// Why.
        error: String,
        /// When.
        due_at: Millis,
        /// Nothing is sent to the channel until then.
        rest_until: Millis,
    },
    /// It did not, and is given up.
    Dead {
        /// Why.
        error: String,
    },
}

/// Who takes messages.
#[derive(Clone, Debug)]
pub struct Taker {
    /// A random text that no other worker has.
    pub name: String,
    /// The key with which it opens secrets.
    pub key: String,
}

/// How long what is over is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// What was due before is given up.
    pub due_since: Millis,
    /// Messages that ended before are forgotten.
    pub ended_since: Millis,
    /// And of one organisation all but so many.
    pub messages: i64,
    /// What was told before is news again.
    pub told_since: Millis,
    /// And of one channel all but so many.
    pub told: i64,
}

/// The part of a store that is about telling people: channels, and messages to them.
///
/// A message is written by the change that makes it necessary ([`crate::Store::digest`]), so that none is lost and none is
/// doubled. From then on workers take the messages of one channel at a time. Whoever has taken them has them until a
/// time; a worker that is killed before it has said what came of a message leaves it to another one, which sends it again,
/// under the same id.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Keeps a channel. [`StoreError::Full`] when there are [`crate::CHANNELS_MAX`].
    async fn add_channel(
        &self,
        org: OrgId,
        uid: &str,
        channel: &NewChannel,
        by: &str,
        now: Millis,
    ) -> Result<Channel, StoreError>;
    /// Channels by name.
    async fn channels(&self, org: OrgId) -> Result<Vec<Channel>, StoreError>;
    /// One channel.
    async fn channel(&self, org: OrgId, id: i64) -> Result<Option<Channel>, StoreError>;
    /// Keeps a channel in place of what it was. Where its target is another one, it begins anew.
    async fn change_channel(
        &self,
        org: OrgId,
        id: i64,
        channel: &NewChannel,
    ) -> Result<Channel, StoreError>;
    /// Forgets a channel with its secret, and gives up what waits for it. Its name, if there was one.
    async fn remove_channel(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<Option<String>, StoreError>;
    /// Notes that a person has tried a channel, and what came of it: an error, if it went wrong.
    async fn note_test(
        &self,
        org: OrgId,
        id: i64,
        what: &str,
        error: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError>;
    /// Messages, newest first.
    async fn deliveries(
        &self,
        org: OrgId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StoreError>;
    /// Lets a message that was given up be tried again; what it tells, if there was such a one.
    /// [`StoreError::Conflict`] when its channel is no more, or when what it tells is not so any more.
    async fn send_again(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<Option<String>, StoreError>;
    /// Keys with which secrets of channels were sealed.
    async fn sealing_keys(&self) -> Result<Vec<String>, StoreError>;

    /// Takes the due messages of some channels that nobody else has taken, those first that have waited longest.
    async fn take(
        &self,
        taker: &Taker,
        channels: u32,
        now: Millis,
        until: Millis,
    ) -> Result<Vec<Taken>, StoreError>;
    /// Says that a message is about to be sent, and keeps its channel until then. Not when somebody else has it.
    async fn attempt(
        &self,
        taker: &Taker,
        channel: i64,
        message: i64,
        now: Millis,
        until: Millis,
    ) -> Result<bool, StoreError>;
    /// Says what came of it.
    async fn settle(
        &self,
        taker: &Taker,
        channel: i64,
        message: i64,
        settled: &Settled,
        now: Millis,
    ) -> Result<(), StoreError>;
    /// Gives a channel back.
    async fn give_back(&self, taker: &Taker, channel: i64, now: Millis) -> Result<(), StoreError>;
    /// Gives up what has waited too long, and forgets what is over.
    async fn tend_outbox(&self, keep: &Keep, now: Millis) -> Result<(), StoreError>;
}
