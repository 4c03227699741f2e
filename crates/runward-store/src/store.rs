use async_trait::async_trait;

use crate::{
    Agent, ApiKey, AttachedPolicy, AuditEntry, Batch, Claim, Destination, DestinationFilter,
    Detection, DetectionFilter, DetectionStatus, Digest, JobName, KnownJob, Matcher, Millis,
    NewApiKey, NewPolicyVersion, NewSuppression, NewUser, Opened, Org, OrgId, Overview, Page,
    PageRequest, Policy, PolicyAttachment, PolicyScope, PolicyVersion, Project, ProjectId,
    ProjectSummary, Received, Role, Run, RunFilter, Session, Sighting, StoreError, Suppression,
    SuppressionPreview, SuppressionState, Trust, User, Visibility,
};

/// A database of the control plane.
///
/// Every method is one transaction: it happens as a whole or not at all, and when it returns, it is durable.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Brings the tables to the shape that this version needs. Harmless when they have it.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Asks the database for the least it can answer.
    async fn ping(&self) -> Result<(), StoreError>;

    // Who there is.

    /// Makes an organisation.
    async fn add_org(&self, slug: &str, name: &str) -> Result<Org, StoreError>;
    /// All organisations, by name.
    async fn orgs(&self) -> Result<Vec<Org>, StoreError>;
    /// The organisation with this name in addresses.
    async fn org(&self, slug: &str) -> Result<Option<Org>, StoreError>;
    /// Adds a person.
    async fn add_user(&self, user: &NewUser, now: Millis) -> Result<User, StoreError>;
    /// The person who logs in by this.
    async fn user(&self, login: &str) -> Result<Option<User>, StoreError>;
    /// All people of an organisation, by login.
    async fn users(&self, org: OrgId) -> Result<Vec<User>, StoreError>;
    /// Gives a person another password hash, and ends the sessions.
    async fn set_password(&self, user: i64, hash: &str) -> Result<(), StoreError>;
    /// The person whom the identity provider knows by this.
    async fn user_of(&self, subject: &str) -> Result<Option<User>, StoreError>;
    /// Gives a person another role. Not when the organisation would be left without an admin: then it answers false.
    async fn set_role(&self, org: OrgId, user: i64, role: Role) -> Result<bool, StoreError>;
    /// Removes a person, and ends the sessions. Not the last admin: then it answers false.
    async fn remove_user(&self, org: OrgId, user: i64) -> Result<bool, StoreError>;
    /// Keeps a session by the hash of its token.
    async fn add_session(
        &self,
        hash: &[u8; 32],
        user: i64,
        csrf: &str,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError>;
    /// The session with this hash, unless it is over.
    async fn session(&self, hash: &[u8; 32], now: Millis) -> Result<Option<Session>, StoreError>;
    /// Notes that the person of a session has shown again who it is.
    async fn reauthenticated(&self, hash: &[u8; 32], at: Millis) -> Result<(), StoreError>;
    /// Ends a session.
    async fn end_session(&self, hash: &[u8; 32]) -> Result<(), StoreError>;
    /// Keeps a key.
    async fn add_key(&self, key: &NewApiKey, now: Millis) -> Result<ApiKey, StoreError>;
    /// The key with this hash, unless it was taken back; notes that it was used.
    async fn use_key(&self, hash: &[u8; 32], now: Millis) -> Result<Option<ApiKey>, StoreError>;
    /// All keys of an organisation, newest first.
    async fn keys(&self, org: OrgId) -> Result<Vec<ApiKey>, StoreError>;
    /// Takes a key back. Whether there was one.
    async fn revoke_key(&self, org: OrgId, id: i64, now: Millis) -> Result<bool, StoreError>;
    /// Keeps the hash of a token that is exchanged for a key, once and before a time.
    async fn add_registration(
        &self,
        hash: &[u8; 32],
        org: OrgId,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError>;
    /// Takes a token for a key, of which there is none afterwards; the organisation that it was made for.
    async fn use_registration(
        &self,
        hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<OrgId>, StoreError>;
    /// Trusts the tokens of an issuer about projects.
    async fn add_trust(
        &self,
        org: OrgId,
        issuer: &str,
        pattern: &str,
        now: Millis,
    ) -> Result<Trust, StoreError>;
    /// Whom an organisation trusts, by issuer and pattern.
    async fn trusts(&self, org: OrgId) -> Result<Vec<Trust>, StoreError>;
    /// Which organisations trust an issuer, and for what.
    async fn trusts_of(&self, issuer: &str) -> Result<Vec<Trust>, StoreError>;
    /// Trusts no longer. The entry, if there was one.
    async fn remove_trust(&self, org: OrgId, id: i64) -> Result<Option<Trust>, StoreError>;
    /// Notes a change by a person or a key.
    async fn audit(
        &self,
        org: OrgId,
        at: Millis,
        who: &str,
        act: &str,
        subject: &str,
    ) -> Result<(), StoreError>;
    /// Changes, newest first.
    async fn audit_log(
        &self,
        org: OrgId,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError>;

    // What comes in.

    /// Makes a run known, with its project, job and agent. [`StoreError::Missing`] when a run of this name belongs to
    /// somebody else, or the key is for another project. Harmless when it is known.
    async fn open_run(&self, claim: &Claim, now: Millis) -> Result<Opened, StoreError>;
    /// The run of this name, if it belongs to the organisation, and to the project if one is given.
    async fn opened(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
        run: &str,
    ) -> Result<Option<Opened>, StoreError>;
    /// Keeps where events lie. One that overlaps others is kept as well: readers take each event once.
    async fn receive(&self, run: i64, batch: &Batch, now: Millis) -> Result<Received, StoreError>;
    /// The objects of a run, in the order of their first events.
    async fn batches(&self, run: i64) -> Result<Vec<Batch>, StoreError>;
    /// Runs with events that are in no digest yet, the longest waiting first.
    async fn undigested(&self, limit: u32) -> Result<Vec<(i64, String)>, StoreError>;
    /// Replaces what is known of a run by what its events amount to.
    async fn digest(&self, run: i64, digest: &Digest) -> Result<(), StoreError>;
    /// Marks the runs of which nothing has come since then as silent; how many there were.
    async fn silence(&self, since: Millis) -> Result<u64, StoreError>;

    // What there is to see.

    /// An organisation at a glance, over so many days up to now.
    async fn overview(&self, org: OrgId, days: u32, now: Millis) -> Result<Overview, StoreError>;
    /// Projects, the one with the newest run first.
    async fn projects(&self, org: OrgId) -> Result<Vec<ProjectSummary>, StoreError>;
    /// One project.
    async fn project(&self, org: OrgId, id: ProjectId) -> Result<Option<Project>, StoreError>;
    /// Says who may read a project's runs.
    async fn set_visibility(
        &self,
        org: OrgId,
        id: ProjectId,
        visibility: Visibility,
    ) -> Result<(), StoreError>;
    /// Runs, newest first.
    async fn runs(
        &self,
        org: OrgId,
        filter: &RunFilter,
        page: PageRequest,
    ) -> Result<Page<Run>, StoreError>;
    /// One run, with its project.
    async fn run(&self, org: OrgId, id: &str) -> Result<Option<(Run, Project)>, StoreError>;
    /// Destinations, the one that was seen last first.
    async fn destinations(
        &self,
        org: OrgId,
        filter: &DestinationFilter,
        page: PageRequest,
    ) -> Result<Page<Destination>, StoreError>;
    /// One destination.
    async fn destination(&self, org: OrgId, id: i64) -> Result<Option<Destination>, StoreError>;
    /// The runs that went to a destination, newest first.
    async fn sightings(
        &self,
        org: OrgId,
        destination: i64,
        page: PageRequest,
    ) -> Result<Page<Sighting>, StoreError>;
    /// Detections, newest first.
    async fn detections(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
        page: PageRequest,
    ) -> Result<Page<Detection>, StoreError>;
    /// How many detections there are of each kind in each state. What the filter says of these counts for nothing.
    async fn detection_counts(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
    ) -> Result<Vec<(String, DetectionStatus, i64)>, StoreError>;
    /// One detection.
    async fn detection(&self, org: OrgId, id: i64) -> Result<Option<Detection>, StoreError>;
    /// Decides about a detection. One that is opened again is hidden at once if a rule says so.
    async fn decide(
        &self,
        org: OrgId,
        id: i64,
        status: DetectionStatus,
        by: &str,
        comment: Option<&str>,
    ) -> Result<(), StoreError>;
    /// Keeps a rule, and hides what it matches: all that comes from now on, and at once what is new and not too much to
    /// be gone through now; the rest is left to [`Store::tend_suppressions`]. [`StoreError::Full`] when there are
    /// [`crate::SUPPRESSIONS_MAX`].
    async fn add_suppression(
        &self,
        org: OrgId,
        rule: &NewSuppression,
        by: &str,
        now: Millis,
    ) -> Result<Suppression, StoreError>;
    /// What a rule would hide, with the newest of it. Nothing is changed.
    async fn preview_suppression(
        &self,
        org: OrgId,
        matcher: &Matcher,
        rows: u32,
    ) -> Result<SuppressionPreview, StoreError>;
    /// Rules, newest first, also those that are over.
    async fn suppressions(
        &self,
        org: OrgId,
        state: Option<SuppressionState>,
        page: PageRequest,
    ) -> Result<Page<Suppression>, StoreError>;
    /// One rule.
    async fn suppression(&self, org: OrgId, id: i64) -> Result<Option<Suppression>, StoreError>;
    /// Ends a rule; what it alone hid is new again. Whether it was live.
    async fn end_suppression(
        &self,
        org: OrgId,
        id: i64,
        by: &str,
        now: Millis,
    ) -> Result<bool, StoreError>;
    /// Ends rules whose time is over, and goes on with what other changes of rules have left to do.
    async fn tend_suppressions(&self, now: Millis) -> Result<(), StoreError>;
    /// Machines that send, the one that was heard of last first.
    async fn agents(&self, org: OrgId, now: Millis) -> Result<Vec<Agent>, StoreError>;

    // Policies by name.

    /// Keeps a policy with its first version. [`StoreError::Exists`] when another one has the name,
    /// [`StoreError::Conflict`] when there are too many.
    async fn add_policy(
        &self,
        org: OrgId,
        name: &str,
        version: &NewPolicyVersion,
        now: Millis,
    ) -> Result<Policy, StoreError>;
    /// Keeps a new version, made by editing the one of number `base`. [`StoreError::Conflict`] when that one is not the
    /// newest any more, or the policy is archived.
    async fn change_policy(
        &self,
        org: OrgId,
        id: i64,
        base: i64,
        version: &NewPolicyVersion,
        now: Millis,
    ) -> Result<Policy, StoreError>;
    /// Puts a policy away; its versions stay. [`StoreError::Conflict`] as long as it is attached anywhere.
    async fn archive_policy(&self, org: OrgId, id: i64, now: Millis) -> Result<(), StoreError>;
    /// Policies by name, without the archived ones or only these.
    async fn policies(&self, org: OrgId, archived: bool) -> Result<Vec<Policy>, StoreError>;
    /// One policy.
    async fn policy(&self, org: OrgId, id: i64) -> Result<Option<Policy>, StoreError>;
    /// Its versions, newest first. The cursor's two numbers are both that of the version.
    async fn policy_versions(
        &self,
        org: OrgId,
        id: i64,
        page: PageRequest,
    ) -> Result<Page<PolicyVersion>, StoreError>;
    /// One version with its text.
    async fn policy_text(
        &self,
        org: OrgId,
        id: i64,
        number: i64,
    ) -> Result<Option<(PolicyVersion, String)>, StoreError>;
    /// Lets a policy hold for a scope. [`StoreError::Conflict`] when another one does.
    async fn attach_policy(
        &self,
        org: OrgId,
        id: i64,
        scope: &PolicyScope,
        by: &str,
        now: Millis,
    ) -> Result<PolicyAttachment, StoreError>;
    /// Ends that; what it was, if there was such an attachment.
    async fn detach_policy(
        &self,
        org: OrgId,
        id: i64,
        attachment: i64,
    ) -> Result<Option<PolicyAttachment>, StoreError>;
    /// Attachments of one policy or of all, the widest scopes first.
    async fn policy_attachments(
        &self,
        org: OrgId,
        policy: Option<i64>,
    ) -> Result<Vec<PolicyAttachment>, StoreError>;
    /// The policies that are attached where a job lies, the narrowest scope first: the first one is in effect.
    async fn policies_for(
        &self,
        org: OrgId,
        job: JobName<'_>,
    ) -> Result<Vec<AttachedPolicy>, StoreError>;
    /// Jobs that have run, by project, pipeline and name.
    async fn jobs(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
    ) -> Result<Vec<KnownJob>, StoreError>;
}
