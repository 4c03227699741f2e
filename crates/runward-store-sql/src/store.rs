//! The store's methods, each of which stands in the file of its subject.

use async_trait::async_trait;
use runward_store::{
    Agent, ApiKey, AttachedPolicy, AuditEntry, Batch, Claim, Destination, DestinationFilter,
    Detection, DetectionFilter, DetectionStatus, Digest, JobName, KnownJob, Matcher, Millis,
    NewApiKey, NewPolicyVersion, NewSuppression, NewUser, Opened, Org, OrgId, Overview, Page,
    PageRequest, Policy, PolicyAttachment, PolicyScope, PolicyVersion, Project, ProjectId,
    ProjectSummary, Received, Role, Run, RunFilter, Session, Sighting, Store, StoreError,
    Suppression, SuppressionPreview, SuppressionState, Trust, User, Visibility,
};

use crate::{SqlStore, unavailable};

#[async_trait]
impl Store for SqlStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.bring_up().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1")
            .execute(&self.read)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn add_org(&self, slug: &str, name: &str) -> Result<Org, StoreError> {
        self.insert_org(slug, name).await
    }

    async fn orgs(&self) -> Result<Vec<Org>, StoreError> {
        self.select_orgs().await
    }

    async fn org(&self, slug: &str) -> Result<Option<Org>, StoreError> {
        self.select_org(slug).await
    }

    async fn add_user(&self, user: &NewUser, now: Millis) -> Result<User, StoreError> {
        self.insert_user(user, now).await
    }

    async fn user(&self, login: &str) -> Result<Option<User>, StoreError> {
        self.select_user(login).await
    }

    async fn users(&self, org: OrgId) -> Result<Vec<User>, StoreError> {
        self.select_users(org).await
    }

    async fn set_password(&self, user: i64, hash: &str) -> Result<(), StoreError> {
        self.update_password(user, hash).await
    }

    async fn user_of(&self, subject: &str) -> Result<Option<User>, StoreError> {
        self.select_user_of(subject).await
    }

    async fn set_role(&self, org: OrgId, user: i64, role: Role) -> Result<bool, StoreError> {
        self.update_role(org, user, role).await
    }

    async fn remove_user(&self, org: OrgId, user: i64) -> Result<bool, StoreError> {
        self.delete_user(org, user).await
    }

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

    async fn session(&self, hash: &[u8; 32], now: Millis) -> Result<Option<Session>, StoreError> {
        self.select_session(hash, now).await
    }

    async fn reauthenticated(&self, hash: &[u8; 32], at: Millis) -> Result<(), StoreError> {
        self.update_session(hash, at).await
    }

    async fn end_session(&self, hash: &[u8; 32]) -> Result<(), StoreError> {
        self.delete_session(hash).await
    }

    async fn add_key(&self, key: &NewApiKey, now: Millis) -> Result<ApiKey, StoreError> {
        self.insert_key(key, now).await
    }

    async fn use_key(&self, hash: &[u8; 32], now: Millis) -> Result<Option<ApiKey>, StoreError> {
        self.select_key(hash, now).await
    }

    async fn keys(&self, org: OrgId) -> Result<Vec<ApiKey>, StoreError> {
        self.select_keys(org).await
    }

    async fn revoke_key(&self, org: OrgId, id: i64, now: Millis) -> Result<bool, StoreError> {
        self.end_key(org, id, now).await
    }

    async fn add_registration(
        &self,
        hash: &[u8; 32],
        org: OrgId,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        self.insert_registration(hash, org, now, expires_at).await
    }

    async fn use_registration(
        &self,
        hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<OrgId>, StoreError> {
        self.take_registration(hash, now).await
    }

    async fn add_trust(
        &self,
        org: OrgId,
        issuer: &str,
        pattern: &str,
        now: Millis,
    ) -> Result<Trust, StoreError> {
        self.insert_trust(org, issuer, pattern, now).await
    }

    async fn trusts(&self, org: OrgId) -> Result<Vec<Trust>, StoreError> {
        self.select_trusts(org).await
    }

    async fn trusts_of(&self, issuer: &str) -> Result<Vec<Trust>, StoreError> {
        self.select_trusts_of(issuer).await
    }

    async fn remove_trust(&self, org: OrgId, id: i64) -> Result<Option<Trust>, StoreError> {
        self.delete_trust(org, id).await
    }

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

    async fn audit_log(
        &self,
        org: OrgId,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        self.select_audit(org, page).await
    }

    async fn open_run(&self, claim: &Claim, now: Millis) -> Result<Opened, StoreError> {
        self.insert_run(claim, now).await
    }

    async fn opened(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
        run: &str,
    ) -> Result<Option<Opened>, StoreError> {
        self.select_opened(org, project, run).await
    }

    async fn receive(&self, run: i64, batch: &Batch, now: Millis) -> Result<Received, StoreError> {
        self.insert_batch(run, batch, now).await
    }

    async fn batches(&self, run: i64) -> Result<Vec<Batch>, StoreError> {
        self.select_batches(run).await
    }

    async fn undigested(&self, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        self.select_undigested(limit).await
    }

    async fn digest(&self, run: i64, digest: &Digest) -> Result<(), StoreError> {
        self.put_digest(run, digest).await
    }

    async fn silence(&self, since: Millis) -> Result<u64, StoreError> {
        self.mark_silent(since).await
    }

    async fn overview(&self, org: OrgId, days: u32, now: Millis) -> Result<Overview, StoreError> {
        self.select_overview(org, days, now).await
    }

    async fn projects(&self, org: OrgId) -> Result<Vec<ProjectSummary>, StoreError> {
        self.select_projects(org).await
    }

    async fn project(&self, org: OrgId, id: ProjectId) -> Result<Option<Project>, StoreError> {
        self.select_project(org, id).await
    }

    async fn set_visibility(
        &self,
        org: OrgId,
        id: ProjectId,
        visibility: Visibility,
    ) -> Result<(), StoreError> {
        self.update_visibility(org, id, visibility).await
    }

    async fn runs(
        &self,
        org: OrgId,
        filter: &RunFilter,
        page: PageRequest,
    ) -> Result<Page<Run>, StoreError> {
        self.select_runs(org, filter, page).await
    }

    async fn run(&self, org: OrgId, id: &str) -> Result<Option<(Run, Project)>, StoreError> {
        self.select_run(org, id).await
    }

    async fn destinations(
        &self,
        org: OrgId,
        filter: &DestinationFilter,
        page: PageRequest,
    ) -> Result<Page<Destination>, StoreError> {
        self.select_destinations(org, filter, page).await
    }

    async fn destination(&self, org: OrgId, id: i64) -> Result<Option<Destination>, StoreError> {
        self.select_destination(org, id).await
    }

    async fn sightings(
        &self,
        org: OrgId,
        destination: i64,
        page: PageRequest,
    ) -> Result<Page<Sighting>, StoreError> {
        self.select_sightings(org, destination, page).await
    }

    async fn detections(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
        page: PageRequest,
    ) -> Result<Page<Detection>, StoreError> {
        self.select_detections(org, filter, page).await
    }

    async fn detection_counts(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
    ) -> Result<Vec<(String, DetectionStatus, i64)>, StoreError> {
        self.count_detections(org, filter).await
    }

    async fn detection(&self, org: OrgId, id: i64) -> Result<Option<Detection>, StoreError> {
        self.select_detection(org, id).await
    }

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

    async fn add_suppression(
        &self,
        org: OrgId,
        rule: &NewSuppression,
        by: &str,
        now: Millis,
    ) -> Result<Suppression, StoreError> {
        self.insert_suppression(org, rule, by, now).await
    }

    async fn preview_suppression(
        &self,
        org: OrgId,
        matcher: &Matcher,
        rows: u32,
    ) -> Result<SuppressionPreview, StoreError> {
        self.preview_matcher(org, matcher, rows).await
    }

    async fn suppressions(
        &self,
        org: OrgId,
        state: Option<SuppressionState>,
        page: PageRequest,
    ) -> Result<Page<Suppression>, StoreError> {
        self.select_suppressions(org, state, page).await
    }

    async fn suppression(&self, org: OrgId, id: i64) -> Result<Option<Suppression>, StoreError> {
        self.select_suppression(org, id).await
    }

    async fn end_suppression(
        &self,
        org: OrgId,
        id: i64,
        by: &str,
        now: Millis,
    ) -> Result<bool, StoreError> {
        self.end_rule(org, id, Some(by), now).await
    }

    async fn tend_suppressions(&self, now: Millis) -> Result<(), StoreError> {
        self.tend_rules(now).await
    }

    async fn agents(&self, org: OrgId, now: Millis) -> Result<Vec<Agent>, StoreError> {
        self.select_agents(org, now).await
    }

    async fn add_policy(
        &self,
        org: OrgId,
        name: &str,
        version: &NewPolicyVersion,
        now: Millis,
    ) -> Result<Policy, StoreError> {
        self.insert_policy(org, name, version, now).await
    }

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

    async fn archive_policy(&self, org: OrgId, id: i64, now: Millis) -> Result<(), StoreError> {
        self.put_policy_away(org, id, now).await
    }

    async fn policies(&self, org: OrgId, archived: bool) -> Result<Vec<Policy>, StoreError> {
        self.select_policies(org, archived).await
    }

    async fn policy(&self, org: OrgId, id: i64) -> Result<Option<Policy>, StoreError> {
        self.select_policy(org, id).await
    }

    async fn policy_versions(
        &self,
        org: OrgId,
        id: i64,
        page: PageRequest,
    ) -> Result<Page<PolicyVersion>, StoreError> {
        self.select_policy_versions(org, id, page).await
    }

    async fn policy_text(
        &self,
        org: OrgId,
        id: i64,
        number: i64,
    ) -> Result<Option<(PolicyVersion, String)>, StoreError> {
        self.select_policy_text(org, id, number).await
    }

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

    async fn detach_policy(
        &self,
        org: OrgId,
        id: i64,
        attachment: i64,
    ) -> Result<Option<PolicyAttachment>, StoreError> {
        self.delete_attachment(org, id, attachment).await
    }

    async fn policy_attachments(
        &self,
        org: OrgId,
        policy: Option<i64>,
    ) -> Result<Vec<PolicyAttachment>, StoreError> {
        self.select_attachments(org, policy).await
    }

    async fn policies_for(
        &self,
        org: OrgId,
        job: JobName<'_>,
    ) -> Result<Vec<AttachedPolicy>, StoreError> {
        self.select_policies_for(org, job).await
    }

    async fn jobs(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
    ) -> Result<Vec<KnownJob>, StoreError> {
        self.select_jobs(org, project).await
    }
}
