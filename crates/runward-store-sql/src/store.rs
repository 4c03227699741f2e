//! The store's methods, each of which stands in the file of its subject. Each is a span of a trace, without what it is
//! asked about.

use async_trait::async_trait;
use runward_store::{
    Agent, Anomaly, ApiKey, AttachedPolicy, AuditEntry, Backlog, Baseline, BaselineChange,
    BaselineEntry, BaselineFilter, BaselineSettings, BaselineState, Batch, Channel, Claim,
    DeletedDetections, DeletedRuns, Delivery, DeliveryFilter, Destination, DestinationFilter,
    Detection, DetectionFilter, DetectionStatus, Digest, Incident, JobId, JobName, Keep,
    KeptBaseline, KeptLevel, KnownJob, Load, Matcher, Millis, NewApiKey, NewChannel,
    NewPolicyVersion, NewSuppression, NewUser, Opened, Org, OrgId, Outbox, Overdue, Overview, Page,
    PageRequest, Policy, PolicyAttachment, PolicyScope, PolicyVersion, Project, ProjectId,
    ProjectSummary, Received, Retention, Role, Run, RunFilter, RunPlace, SeenAnomaly, Session,
    Settled, Sighting, Store, StoreError, Suppression, SuppressionPreview, SuppressionState, Taken,
    Taker, Trust, User, Visibility, Went,
};
use tracing::instrument;

use crate::{SqlStore, unavailable};

#[async_trait]
impl Store for SqlStore {
    #[instrument(name = "store.migrate", skip_all, fields(otel.kind = "client"))]
    async fn migrate(&self) -> Result<(), StoreError> {
        self.bring_up().await
    }

    #[instrument(name = "store.ping", skip_all, fields(otel.kind = "client"))]
    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1")
            .execute(&self.read)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    fn load(&self) -> Load {
        self.measure()
    }

    #[instrument(name = "store.add_org", skip_all, fields(otel.kind = "client"))]
    async fn add_org(&self, slug: &str, name: &str) -> Result<Org, StoreError> {
        self.insert_org(slug, name).await
    }

    #[instrument(name = "store.orgs", skip_all, fields(otel.kind = "client"))]
    async fn orgs(&self) -> Result<Vec<Org>, StoreError> {
        self.select_orgs().await
    }

    #[instrument(name = "store.org", skip_all, fields(otel.kind = "client"))]
    async fn org(&self, slug: &str) -> Result<Option<Org>, StoreError> {
        self.select_org(slug).await
    }

    #[instrument(name = "store.add_user", skip_all, fields(otel.kind = "client"))]
    async fn add_user(&self, user: &NewUser, now: Millis) -> Result<User, StoreError> {
        self.insert_user(user, now).await
    }

    #[instrument(name = "store.user", skip_all, fields(otel.kind = "client"))]
    async fn user(&self, login: &str) -> Result<Option<User>, StoreError> {
        self.select_user(login).await
    }

    #[instrument(name = "store.users", skip_all, fields(otel.kind = "client"))]
    async fn users(&self, org: OrgId) -> Result<Vec<User>, StoreError> {
        self.select_users(org).await
    }

    #[instrument(name = "store.set_password", skip_all, fields(otel.kind = "client"))]
    async fn set_password(&self, user: i64, hash: &str) -> Result<(), StoreError> {
        self.update_password(user, hash).await
    }

    #[instrument(name = "store.user_of", skip_all, fields(otel.kind = "client"))]
    async fn user_of(&self, subject: &str) -> Result<Option<User>, StoreError> {
        self.select_user_of(subject).await
    }

    #[instrument(name = "store.set_role", skip_all, fields(otel.kind = "client"))]
    async fn set_role(&self, org: OrgId, user: i64, role: Role) -> Result<bool, StoreError> {
        self.update_role(org, user, role).await
    }

    #[instrument(name = "store.remove_user", skip_all, fields(otel.kind = "client"))]
    async fn remove_user(&self, org: OrgId, user: i64) -> Result<bool, StoreError> {
        self.delete_user(org, user).await
    }

    #[instrument(name = "store.add_session", skip_all, fields(otel.kind = "client"))]
    async fn add_session(
        &self,
        hash: &[u8; 32],
        user: i64,
        csrf: &str,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        self.insert_session(hash, user, csrf, now, expires_at).await
    }

    #[instrument(name = "store.session", skip_all, fields(otel.kind = "client"))]
    async fn session(&self, hash: &[u8; 32], now: Millis) -> Result<Option<Session>, StoreError> {
        self.select_session(hash, now).await
    }

    #[instrument(name = "store.reauthenticated", skip_all, fields(otel.kind = "client"))]
    async fn reauthenticated(&self, hash: &[u8; 32], at: Millis) -> Result<(), StoreError> {
        self.update_session(hash, at).await
    }

    #[instrument(name = "store.end_session", skip_all, fields(otel.kind = "client"))]
    async fn end_session(&self, hash: &[u8; 32]) -> Result<(), StoreError> {
        self.delete_session(hash).await
    }

    #[instrument(name = "store.add_key", skip_all, fields(otel.kind = "client"))]
    async fn add_key(&self, key: &NewApiKey, now: Millis) -> Result<ApiKey, StoreError> {
        self.insert_key(key, now).await
    }

    #[instrument(name = "store.use_key", skip_all, fields(otel.kind = "client"))]
    async fn use_key(&self, hash: &[u8; 32], now: Millis) -> Result<Option<ApiKey>, StoreError> {
        self.select_key(hash, now).await
    }

    #[instrument(name = "store.keys", skip_all, fields(otel.kind = "client"))]
    async fn keys(&self, org: OrgId) -> Result<Vec<ApiKey>, StoreError> {
        self.select_keys(org).await
    }

    #[instrument(name = "store.revoke_key", skip_all, fields(otel.kind = "client"))]
    async fn revoke_key(&self, org: OrgId, id: i64, now: Millis) -> Result<bool, StoreError> {
        self.end_key(org, id, now).await
    }

    #[instrument(name = "store.add_registration", skip_all, fields(otel.kind = "client"))]
    async fn add_registration(
        &self,
        hash: &[u8; 32],
        org: OrgId,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        self.insert_registration(hash, org, now, expires_at).await
    }

    #[instrument(name = "store.use_registration", skip_all, fields(otel.kind = "client"))]
    async fn use_registration(
        &self,
        hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<OrgId>, StoreError> {
        self.take_registration(hash, now).await
    }

    #[instrument(name = "store.add_trust", skip_all, fields(otel.kind = "client"))]
    async fn add_trust(
        &self,
        org: OrgId,
        issuer: &str,
        pattern: &str,
        now: Millis,
    ) -> Result<Trust, StoreError> {
        self.insert_trust(org, issuer, pattern, now).await
    }

    #[instrument(name = "store.trusts", skip_all, fields(otel.kind = "client"))]
    async fn trusts(&self, org: OrgId) -> Result<Vec<Trust>, StoreError> {
        self.select_trusts(org).await
    }

    #[instrument(name = "store.trusts_of", skip_all, fields(otel.kind = "client"))]
    async fn trusts_of(&self, issuer: &str) -> Result<Vec<Trust>, StoreError> {
        self.select_trusts_of(issuer).await
    }

    #[instrument(name = "store.remove_trust", skip_all, fields(otel.kind = "client"))]
    async fn remove_trust(&self, org: OrgId, id: i64) -> Result<Option<Trust>, StoreError> {
        self.delete_trust(org, id).await
    }

    #[instrument(name = "store.audit", skip_all, fields(otel.kind = "client"))]
    async fn audit(
        &self,
        org: OrgId,
        at: Millis,
        who: &str,
        act: &str,
        subject: &str,
    ) -> Result<(), StoreError> {
        self.insert_audit(org, at, who, act, subject).await
    }

    #[instrument(name = "store.audit_log", skip_all, fields(otel.kind = "client"))]
    async fn audit_log(
        &self,
        org: OrgId,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        self.select_audit(org, page).await
    }

    #[instrument(name = "store.open_run", skip_all, fields(otel.kind = "client"))]
    async fn open_run(&self, claim: &Claim, now: Millis) -> Result<Opened, StoreError> {
        self.insert_run(claim, now).await
    }

    #[instrument(name = "store.opened", skip_all, fields(otel.kind = "client"))]
    async fn opened(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
        run: &str,
    ) -> Result<Option<Opened>, StoreError> {
        self.select_opened(org, project, run).await
    }

    #[instrument(name = "store.receive", skip_all, fields(otel.kind = "client"))]
    async fn receive(&self, run: i64, batch: &Batch, now: Millis) -> Result<Received, StoreError> {
        self.insert_batch(run, batch, now).await
    }

    #[instrument(name = "store.heartbeat", skip_all, fields(otel.kind = "client"))]
    async fn heartbeat(&self, run: i64, now: Millis) -> Result<(), StoreError> {
        self.note_heartbeat(run, now).await
    }

    #[instrument(name = "store.batches", skip_all, fields(otel.kind = "client"))]
    async fn batches(&self, run: i64) -> Result<Vec<Batch>, StoreError> {
        self.select_batches(run).await
    }

    #[instrument(name = "store.undigested", skip_all, fields(otel.kind = "client"))]
    async fn undigested(&self, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        self.select_undigested(limit).await
    }

    #[instrument(name = "store.backlog", skip_all, fields(otel.kind = "client"))]
    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.count_undigested().await
    }

    #[instrument(name = "store.digest", skip_all, fields(otel.kind = "client"))]
    async fn digest(&self, run: i64, digest: &Digest) -> Result<(), StoreError> {
        self.put_digest(run, digest).await
    }

    #[instrument(name = "store.silence", skip_all, fields(otel.kind = "client"))]
    async fn silence(&self, since: Millis, now: Millis) -> Result<u64, StoreError> {
        self.mark_silent(since, now).await
    }

    #[instrument(name = "store.overview", skip_all, fields(otel.kind = "client"))]
    async fn overview(&self, org: OrgId, days: u32, now: Millis) -> Result<Overview, StoreError> {
        self.select_overview(org, days, now).await
    }

    #[instrument(name = "store.projects", skip_all, fields(otel.kind = "client"))]
    async fn projects(&self, org: OrgId) -> Result<Vec<ProjectSummary>, StoreError> {
        self.select_projects(org).await
    }

    #[instrument(name = "store.project", skip_all, fields(otel.kind = "client"))]
    async fn project(&self, org: OrgId, id: ProjectId) -> Result<Option<Project>, StoreError> {
        self.select_project(org, id).await
    }

    #[instrument(name = "store.set_visibility", skip_all, fields(otel.kind = "client"))]
    async fn set_visibility(
        &self,
        org: OrgId,
        id: ProjectId,
        visibility: Visibility,
    ) -> Result<(), StoreError> {
        self.update_visibility(org, id, visibility).await
    }

    #[instrument(name = "store.runs", skip_all, fields(otel.kind = "client"))]
    async fn runs(
        &self,
        org: OrgId,
        filter: &RunFilter,
        page: PageRequest,
    ) -> Result<Page<Run>, StoreError> {
        self.select_runs(org, filter, page).await
    }

    #[instrument(name = "store.run", skip_all, fields(otel.kind = "client"))]
    async fn run(&self, org: OrgId, id: &str) -> Result<Option<(Run, Project)>, StoreError> {
        self.select_run(org, id).await
    }

    #[instrument(name = "store.destinations", skip_all, fields(otel.kind = "client"))]
    async fn destinations(
        &self,
        org: OrgId,
        filter: &DestinationFilter,
        page: PageRequest,
    ) -> Result<Page<Destination>, StoreError> {
        self.select_destinations(org, filter, page).await
    }

    #[instrument(name = "store.destination", skip_all, fields(otel.kind = "client"))]
    async fn destination(&self, org: OrgId, id: i64) -> Result<Option<Destination>, StoreError> {
        self.select_destination(org, id).await
    }

    #[instrument(name = "store.sightings", skip_all, fields(otel.kind = "client"))]
    async fn sightings(
        &self,
        org: OrgId,
        destination: i64,
        page: PageRequest,
    ) -> Result<Page<Sighting>, StoreError> {
        self.select_sightings(org, destination, page).await
    }

    async fn went(&self, org: OrgId, run: i64, most: u32) -> Result<Vec<Went>, StoreError> {
        self.select_went(org, run, most).await
    }

    #[instrument(name = "store.detections", skip_all, fields(otel.kind = "client"))]
    async fn detections(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
        page: PageRequest,
    ) -> Result<Page<Detection>, StoreError> {
        self.select_detections(org, filter, page).await
    }

    #[instrument(name = "store.detection_counts", skip_all, fields(otel.kind = "client"))]
    async fn detection_counts(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
    ) -> Result<Vec<(String, DetectionStatus, i64)>, StoreError> {
        self.count_detections(org, filter).await
    }

    #[instrument(name = "store.detection", skip_all, fields(otel.kind = "client"))]
    async fn detection(&self, org: OrgId, id: i64) -> Result<Option<Detection>, StoreError> {
        self.select_detection(org, id).await
    }

    #[instrument(name = "store.decide", skip_all, fields(otel.kind = "client"))]
    async fn decide(
        &self,
        org: OrgId,
        id: i64,
        status: DetectionStatus,
        by: &str,
        comment: Option<&str>,
    ) -> Result<(), StoreError> {
        self.update_detection(org, id, status, by, comment).await
    }

    #[instrument(name = "store.add_suppression", skip_all, fields(otel.kind = "client"))]
    async fn add_suppression(
        &self,
        org: OrgId,
        rule: &NewSuppression,
        by: &str,
        now: Millis,
    ) -> Result<Suppression, StoreError> {
        self.insert_suppression(org, rule, by, now).await
    }

    #[instrument(name = "store.preview_suppression", skip_all, fields(otel.kind = "client"))]
    async fn preview_suppression(
        &self,
        org: OrgId,
        matcher: &Matcher,
        rows: u32,
    ) -> Result<SuppressionPreview, StoreError> {
        self.preview_matcher(org, matcher, rows).await
    }

    #[instrument(name = "store.suppressions", skip_all, fields(otel.kind = "client"))]
    async fn suppressions(
        &self,
        org: OrgId,
        state: Option<SuppressionState>,
        page: PageRequest,
    ) -> Result<Page<Suppression>, StoreError> {
        self.select_suppressions(org, state, page).await
    }

    #[instrument(name = "store.suppression", skip_all, fields(otel.kind = "client"))]
    async fn suppression(&self, org: OrgId, id: i64) -> Result<Option<Suppression>, StoreError> {
        self.select_suppression(org, id).await
    }

    #[instrument(name = "store.end_suppression", skip_all, fields(otel.kind = "client"))]
    async fn end_suppression(
        &self,
        org: OrgId,
        id: i64,
        by: &str,
        now: Millis,
    ) -> Result<bool, StoreError> {
        self.end_rule(org, id, Some(by), now).await
    }

    #[instrument(name = "store.tend_suppressions", skip_all, fields(otel.kind = "client"))]
    async fn tend_suppressions(&self, now: Millis) -> Result<(), StoreError> {
        self.tend_rules(now).await
    }

    #[instrument(name = "store.agents", skip_all, fields(otel.kind = "client"))]
    async fn agents(&self, org: OrgId, now: Millis) -> Result<Vec<Agent>, StoreError> {
        self.select_agents(org, now).await
    }

    async fn run_place(&self, run: i64) -> Result<Option<RunPlace>, StoreError> {
        self.select_run_place(run).await
    }

    async fn kept_baseline(&self, job: JobId) -> Result<KeptBaseline, StoreError> {
        self.select_kept_baseline(job).await
    }

    async fn around(
        &self,
        org: OrgId,
        project: ProjectId,
        keys: &[i64],
    ) -> Result<[KeptLevel; 2], StoreError> {
        self.select_around(org, project, keys).await
    }

    async fn change_baseline(
        &self,
        org: OrgId,
        job: JobId,
        change: &BaselineChange,
    ) -> Result<(), StoreError> {
        self.update_baseline(org, job, change).await
    }

    async fn baseline_settings(&self, org: OrgId) -> Result<BaselineSettings, StoreError> {
        self.select_baseline_settings(org).await
    }

    async fn set_baseline_settings(
        &self,
        org: OrgId,
        settings: &BaselineSettings,
    ) -> Result<(), StoreError> {
        self.update_baseline_settings(org, settings).await
    }

    async fn baselines(
        &self,
        org: OrgId,
        filter: &BaselineFilter,
        page: PageRequest,
    ) -> Result<Page<Baseline>, StoreError> {
        self.select_baselines(org, filter, page).await
    }

    async fn baseline_counts(&self, org: OrgId) -> Result<Vec<(BaselineState, i64)>, StoreError> {
        self.count_baselines(org).await
    }

    async fn baseline(&self, org: OrgId, job: JobId) -> Result<Option<Baseline>, StoreError> {
        self.select_baseline(org, job).await
    }

    async fn baseline_entries(
        &self,
        org: OrgId,
        job: JobId,
        page: PageRequest,
    ) -> Result<Page<BaselineEntry>, StoreError> {
        self.select_baseline_entries(org, job, page).await
    }

    async fn anomalies(&self, run: i64) -> Result<Vec<Anomaly>, StoreError> {
        self.select_anomalies(run).await
    }

    async fn sightings_of(
        &self,
        key: &str,
        since: Millis,
        most: u32,
    ) -> Result<Vec<SeenAnomaly>, StoreError> {
        self.select_sightings_of(key, since, most).await
    }

    async fn incidents(&self, org: OrgId, page: PageRequest) -> Result<Page<Incident>, StoreError> {
        self.select_incidents(org, page).await
    }

    async fn settle_detections(
        &self,
        org: OrgId,
        job: JobId,
        kinds: &[&str],
        subject: &str,
        by: &str,
        comment: &str,
    ) -> Result<u64, StoreError> {
        self.resolve_detections(org, job, kinds, subject, by, comment)
            .await
    }

    async fn retention(&self, org: OrgId) -> Result<Retention, StoreError> {
        self.select_retention(org).await
    }

    async fn change_retention(
        &self,
        org: OrgId,
        seen: &Retention,
        wanted: &Retention,
    ) -> Result<(), StoreError> {
        self.update_retention(org, seen, wanted).await
    }

    async fn overdue(
        &self,
        org: OrgId,
        terms: &Retention,
        now: Millis,
    ) -> Result<Overdue, StoreError> {
        self.count_overdue(org, terms, now).await
    }

    async fn orgs_to_clean(&self, now: Millis) -> Result<Vec<OrgId>, StoreError> {
        self.select_orgs_to_clean(now).await
    }

    async fn cut_events(&self, org: OrgId, now: Millis, most: u32) -> Result<u64, StoreError> {
        self.cut_runs(org, now, most).await
    }

    async fn runs_to_clear(&self, org: OrgId, most: u32) -> Result<Vec<(i64, String)>, StoreError> {
        self.select_runs_to_clear(org, most).await
    }

    async fn batches_to_clear(&self, run: i64, most: u32) -> Result<Vec<Batch>, StoreError> {
        self.select_batches_to_clear(run, most).await
    }

    async fn cleared(&self, run: i64, batches: &[Batch]) -> Result<bool, StoreError> {
        self.forget_batches(run, batches).await
    }

    async fn runs_to_sweep(
        &self,
        org: OrgId,
        now: Millis,
        most: u32,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        self.select_runs_to_sweep(org, now, most).await
    }

    async fn swept(&self, run: i64) -> Result<(), StoreError> {
        self.note_swept(run).await
    }

    async fn delete_detections(
        &self,
        org: OrgId,
        now: Millis,
    ) -> Result<DeletedDetections, StoreError> {
        self.remove_detections(org, now).await
    }

    async fn delete_runs(&self, org: OrgId, now: Millis) -> Result<DeletedRuns, StoreError> {
        self.remove_runs(org, now).await
    }

    #[instrument(name = "store.add_policy", skip_all, fields(otel.kind = "client"))]
    async fn add_policy(
        &self,
        org: OrgId,
        name: &str,
        version: &NewPolicyVersion,
        now: Millis,
    ) -> Result<Policy, StoreError> {
        self.insert_policy(org, name, version, now).await
    }

    #[instrument(name = "store.change_policy", skip_all, fields(otel.kind = "client"))]
    async fn change_policy(
        &self,
        org: OrgId,
        id: i64,
        base: i64,
        version: &NewPolicyVersion,
        now: Millis,
    ) -> Result<Policy, StoreError> {
        self.insert_policy_version(org, id, base, version, now)
            .await
    }

    #[instrument(name = "store.archive_policy", skip_all, fields(otel.kind = "client"))]
    async fn archive_policy(&self, org: OrgId, id: i64, now: Millis) -> Result<(), StoreError> {
        self.put_policy_away(org, id, now).await
    }

    #[instrument(name = "store.policies", skip_all, fields(otel.kind = "client"))]
    async fn policies(&self, org: OrgId, archived: bool) -> Result<Vec<Policy>, StoreError> {
        self.select_policies(org, archived).await
    }

    #[instrument(name = "store.policy", skip_all, fields(otel.kind = "client"))]
    async fn policy(&self, org: OrgId, id: i64) -> Result<Option<Policy>, StoreError> {
        self.select_policy(org, id).await
    }

    #[instrument(name = "store.policy_versions", skip_all, fields(otel.kind = "client"))]
    async fn policy_versions(
        &self,
        org: OrgId,
        id: i64,
        page: PageRequest,
    ) -> Result<Page<PolicyVersion>, StoreError> {
        self.select_policy_versions(org, id, page).await
    }

    #[instrument(name = "store.policy_text", skip_all, fields(otel.kind = "client"))]
    async fn policy_text(
        &self,
        org: OrgId,
        id: i64,
        number: i64,
    ) -> Result<Option<(PolicyVersion, String)>, StoreError> {
        self.select_policy_text(org, id, number).await
    }

    #[instrument(name = "store.attach_policy", skip_all, fields(otel.kind = "client"))]
    async fn attach_policy(
        &self,
        org: OrgId,
        id: i64,
        scope: &PolicyScope,
        by: &str,
        now: Millis,
    ) -> Result<PolicyAttachment, StoreError> {
        self.insert_attachment(org, id, scope, by, now).await
    }

    #[instrument(name = "store.detach_policy", skip_all, fields(otel.kind = "client"))]
    async fn detach_policy(
        &self,
        org: OrgId,
        id: i64,
        attachment: i64,
    ) -> Result<Option<PolicyAttachment>, StoreError> {
        self.delete_attachment(org, id, attachment).await
    }

    #[instrument(name = "store.policy_attachments", skip_all, fields(otel.kind = "client"))]
    async fn policy_attachments(
        &self,
        org: OrgId,
        policy: Option<i64>,
    ) -> Result<Vec<PolicyAttachment>, StoreError> {
        self.select_attachments(org, policy).await
    }

    #[instrument(name = "store.policies_for", skip_all, fields(otel.kind = "client"))]
    async fn policies_for(
        &self,
        org: OrgId,
        job: JobName<'_>,
    ) -> Result<Vec<AttachedPolicy>, StoreError> {
        self.select_policies_for(org, job).await
    }

    #[instrument(name = "store.jobs", skip_all, fields(otel.kind = "client"))]
    async fn jobs(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
    ) -> Result<Vec<KnownJob>, StoreError> {
        self.select_jobs(org, project).await
    }
}

#[async_trait]
impl Outbox for SqlStore {
    async fn add_channel(
        &self,
        org: OrgId,
        uid: &str,
        channel: &NewChannel,
        by: &str,
        now: Millis,
    ) -> Result<Channel, StoreError> {
        self.insert_channel(org, uid, channel, by, now).await
    }

    async fn channels(&self, org: OrgId) -> Result<Vec<Channel>, StoreError> {
        self.select_channels(org).await
    }

    async fn channel(&self, org: OrgId, id: i64) -> Result<Option<Channel>, StoreError> {
        self.select_channel(org, id).await
    }

    async fn change_channel(
        &self,
        org: OrgId,
        id: i64,
        channel: &NewChannel,
    ) -> Result<Channel, StoreError> {
        self.update_channel(org, id, channel).await
    }

    async fn remove_channel(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<Option<String>, StoreError> {
        self.delete_channel(org, id, now).await
    }

    async fn note_test(
        &self,
        org: OrgId,
        id: i64,
        what: &str,
        error: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.insert_test(org, id, what, error, now).await
    }

    async fn deliveries(
        &self,
        org: OrgId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        self.select_deliveries(org, filter, page).await
    }

    async fn send_again(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<Option<String>, StoreError> {
        self.revive(org, id, now).await
    }

    async fn sealing_keys(&self) -> Result<Vec<String>, StoreError> {
        self.select_sealing_keys().await
    }

    async fn take(
        &self,
        taker: &Taker,
        channels: u32,
        now: Millis,
        until: Millis,
    ) -> Result<Vec<Taken>, StoreError> {
        self.take_channels(taker, channels, now, until).await
    }

    async fn attempt(
        &self,
        taker: &Taker,
        channel: i64,
        message: i64,
        now: Millis,
        until: Millis,
    ) -> Result<bool, StoreError> {
        self.begin_attempt(taker, channel, message, now, until)
            .await
    }

    async fn settle(
        &self,
        taker: &Taker,
        channel: i64,
        message: i64,
        settled: &Settled,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.settle_message(taker, channel, message, settled, now)
            .await
    }

    async fn give_back(&self, taker: &Taker, channel: i64, now: Millis) -> Result<(), StoreError> {
        self.release_channel(taker, channel, now).await
    }

    async fn tend_outbox(&self, keep: &Keep, now: Millis) -> Result<(), StoreError> {
        self.tidy_outbox(keep, now).await
    }
}
