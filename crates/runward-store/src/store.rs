use async_trait::async_trait;

use crate::{
    Agent, Anomaly, ApiKey, AttachedPolicy, AuditEntry, Backlog, Baseline, BaselineChange,
    BaselineEntry, BaselineFilter, BaselineSettings, BaselineState, Batch, Claim,
    DeletedDetections, DeletedRuns, Destination, DestinationFilter, Detection, DetectionFilter,
    DetectionStatus, Digest, Incident, JobId, JobName, KeptBaseline, KeptLevel, KnownJob, Load,
    Matcher, Millis, NewApiKey, NewPolicyVersion, NewSuppression, NewUser, Opened, Org, OrgId,
    Outbox, Overdue, Overview, Page, PageRequest, Policy, PolicyAttachment, PolicyScope,
    PolicyVersion, Project, ProjectId, ProjectSummary, Received, Retention, Role, Run, RunFilter,
    RunPlace, SeenAnomaly, Session, Sighting, StoreError, Suppression, SuppressionPreview,
    SuppressionState, Trust, User, Visibility, Went,
};

/// A database of the control plane.
///
/// Every method is one transaction: it happens as a whole or not at all, and when it returns, it is durable.
#[async_trait]
pub trait Store: Outbox {
    /// Brings the tables to the shape that this version needs. Harmless when they have it.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Asks the database for the least it can answer.
    async fn ping(&self) -> Result<(), StoreError>;

    /// How busy it is.
    fn load(&self) -> Load;

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
    /// somebody else, or the key is for another project; [`StoreError::Gone`] when its events were deleted. Harmless when
    /// it is known.
    async fn open_run(&self, claim: &Claim, now: Millis) -> Result<Opened, StoreError>;
    /// The run of this name, if it belongs to the organisation, and to the project if one is given. [`StoreError::Gone`]
    /// when its events were deleted.
    async fn opened(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
        run: &str,
    ) -> Result<Option<Opened>, StoreError>;
    /// Keeps where events lie. One that overlaps others is kept as well: readers take each event once.
    /// [`StoreError::Gone`] when the run's events were deleted.
    async fn receive(&self, run: i64, batch: &Batch, now: Millis) -> Result<Received, StoreError>;
    /// Notes that a run's agent lives. A run that was given up goes on by that; one that has ended stays as it is.
    async fn heartbeat(&self, run: i64, now: Millis) -> Result<(), StoreError>;
    /// The objects of a run, in the order of their first events.
    async fn batches(&self, run: i64) -> Result<Vec<Batch>, StoreError>;
    /// Runs with events that are in no digest yet, the longest waiting first.
    async fn undigested(&self, limit: u32) -> Result<Vec<(i64, String)>, StoreError>;
    /// How many of these there are.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
    /// What a run's judgement needs to know of the run.
    async fn run_place(&self, run: i64) -> Result<Option<RunPlace>, StoreError>;
    /// Replaces what is known of a run by what its events amount to; not if these were deleted meanwhile.
    /// [`StoreError::Conflict`] when the job's baseline is not what the digest was made with any more: then nothing is
    /// changed.
    async fn digest(&self, run: i64, digest: &Digest) -> Result<(), StoreError>;
    /// Marks runs of which nothing has come since then as silent, many at a time; how many there were.
    async fn silence(&self, since: Millis, now: Millis) -> Result<u64, StoreError>;

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
    /// Where a run went, so many places at most: first those where something was stopped, then by connections.
    async fn went(&self, org: OrgId, run: i64, most: u32) -> Result<Vec<Went>, StoreError>;
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

    // Baselines.

    /// The state of a job's baseline.
    async fn kept_baseline(&self, job: JobId) -> Result<KeptBaseline, StoreError>;
    /// What is known of some keys around a job: in its project, and in its organisation.
    async fn around(
        &self,
        org: OrgId,
        project: ProjectId,
        keys: &[i64],
    ) -> Result<[KeptLevel; 2], StoreError>;
    /// Keeps what a person decided. [`StoreError::Conflict`] when the baseline is of another version by now.
    async fn change_baseline(
        &self,
        org: OrgId,
        job: JobId,
        change: &BaselineChange,
    ) -> Result<(), StoreError>;
    /// What the organisation's admins have set.
    async fn baseline_settings(&self, org: OrgId) -> Result<BaselineSettings, StoreError>;
    /// Sets it.
    async fn set_baseline_settings(
        &self,
        org: OrgId,
        settings: &BaselineSettings,
    ) -> Result<(), StoreError>;
    /// Baselines, the one that changed last first.
    async fn baselines(
        &self,
        org: OrgId,
        filter: &BaselineFilter,
        page: PageRequest,
    ) -> Result<Page<Baseline>, StoreError>;
    /// How many baselines there are in each state.
    async fn baseline_counts(&self, org: OrgId) -> Result<Vec<(BaselineState, i64)>, StoreError>;
    /// One job's baseline.
    async fn baseline(&self, org: OrgId, job: JobId) -> Result<Option<Baseline>, StoreError>;
    /// Its changelog, newest first. The cursor's two numbers are both that of the line.
    async fn baseline_entries(
        &self,
        org: OrgId,
        job: JobId,
        page: PageRequest,
    ) -> Result<Page<BaselineEntry>, StoreError>;
    /// What was not normal in a run, the worst first.
    async fn anomalies(&self, run: i64) -> Result<Vec<Anomaly>, StoreError>;
    /// The newest sightings of something on the whole server since then, at most so many.
    async fn sightings_of(
        &self,
        key: &str,
        since: Millis,
        most: u32,
    ) -> Result<Vec<SeenAnomaly>, StoreError>;
    /// Incidents that an organisation's jobs have a part in, newest first.
    async fn incidents(&self, org: OrgId, page: PageRequest) -> Result<Page<Incident>, StoreError>;
    /// Decides about all detections of a job that say this of the subject.
    async fn settle_detections(
        &self,
        org: OrgId,
        job: JobId,
        kinds: &[&str],
        subject: &str,
        by: &str,
        comment: &str,
    ) -> Result<u64, StoreError>;
    // How long it is kept. Steps of deleting are bounded, may be broken off at any point, and may be done by many workers
    // at once; a clock that is asked for is the server's. The order is that of the methods: what is not there any more is
    // said to be so first, and what leads to an object is forgotten last.

    /// The terms of an organisation.
    async fn retention(&self, org: OrgId) -> Result<Retention, StoreError>;
    /// Changes them from what they were seen to be. [`StoreError::Conflict`] when that is not so any more.
    async fn change_retention(
        &self,
        org: OrgId,
        seen: &Retention,
        wanted: &Retention,
    ) -> Result<(), StoreError>;
    /// What there is that would be deleted with such terms.
    async fn overdue(
        &self,
        org: OrgId,
        terms: &Retention,
        now: Millis,
    ) -> Result<Overdue, StoreError>;
    /// Organisations in which there is something to delete.
    async fn orgs_to_clean(&self, now: Millis) -> Result<Vec<OrgId>, StoreError>;
    /// Takes away the events of runs that have had them for their term: from now on they count as deleted, and nothing
    /// more of these runs is taken. Not those of a run that still goes on; and those of one that waits for its digest only
    /// a day later. How many runs there were, `most` at most.
    async fn cut_events(&self, org: OrgId, now: Millis, most: u32) -> Result<u64, StoreError>;
    /// Runs whose events were taken away and whose objects are still there: number and name.
    async fn runs_to_clear(&self, org: OrgId, most: u32) -> Result<Vec<(i64, String)>, StoreError>;
    /// Some of the objects of such a run.
    async fn batches_to_clear(&self, run: i64, most: u32) -> Result<Vec<Batch>, StoreError>;
    /// Forgets these, of which the objects are deleted by now. Whether the run has more.
    async fn cleared(&self, run: i64, batches: &[Batch]) -> Result<bool, StoreError>;
    /// Runs of which all known objects are deleted, and whose events were taken away so long ago that no request can be
    /// under way any more that still keeps one: what is left now was never acknowledged. Number and name.
    async fn runs_to_sweep(
        &self,
        org: OrgId,
        now: Millis,
        most: u32,
    ) -> Result<Vec<(i64, String)>, StoreError>;
    /// Notes that nothing of such a run is left in the place of the objects.
    async fn swept(&self, run: i64) -> Result<(), StoreError>;
    /// Deletes detections of runs that have had them for their term.
    async fn delete_detections(
        &self,
        org: OrgId,
        now: Millis,
    ) -> Result<DeletedDetections, StoreError>;
    /// Deletes runs that have been kept for their term, with where they went, and with the jobs, machines and destinations
    /// that no other run is of. Projects stay: who may read them and what holds for them are settings.
    async fn delete_runs(&self, org: OrgId, now: Millis) -> Result<DeletedRuns, StoreError>;

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
