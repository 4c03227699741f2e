use runward_event::{Mode, Provider};
use runward_lab::test_name;
use runward_store::{
    JobName, NewPolicyVersion, Page, PageRequest, PolicyScope, PolicyVersion, ProjectId,
    Store as _, StoreError,
};

use crate::bed::{ALL, Bed, NOW, each};

fn version(text: &str) -> NewPolicyVersion {
    NewPolicyVersion {
        text: text.to_owned(),
        mode: Mode::Block,
        note: format!("note of {text}"),
        by: "ada".to_owned(),
    }
}

impl Bed {
    async fn policy(&self, name: &str) -> i64 {
        let made = self
            .store
            .add_policy(self.org.id, name, &version("first"), NOW)
            .await;
        made.unwrap().id
    }

    /// The only project, made by a run.
    async fn project(&self) -> ProjectId {
        self.run(1, |_| ()).await;
        self.store.projects(self.org.id).await.unwrap()[0]
            .project
            .id
    }

    async fn attach(&self, policy: i64, scope: PolicyScope) -> i64 {
        let attached = self
            .store
            .attach_policy(self.org.id, policy, &scope, "ada", NOW)
            .await;
        attached.unwrap().id
    }
}

#[tokio::test]
async fn no_version_of_a_policy_is_ever_lost() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.id);
        let id = bed.policy("ci").await;
        let changed = store
            .change_policy(org, id, 1, &version("second"), NOW + 5)
            .await
            .unwrap();
        assert_eq!((changed.newest.number, changed.newest.at), (2, NOW + 5));
        let mut audit = version("third");
        audit.mode = Mode::Audit;
        store
            .change_policy(org, id, 2, &audit, NOW + 6)
            .await
            .unwrap();
        let policy = store.policy(org, id).await.unwrap().unwrap();
        assert_eq!((policy.newest.number, policy.newest.mode), (3, Mode::Audit));

        let first = PageRequest {
            after: None,
            limit: 2,
        };
        let page = store.policy_versions(org, id, first).await.unwrap();
        let numbers = |page: &Page<PolicyVersion>| {
            page.rows
                .iter()
                .map(|version| version.number)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&page), [3, 2]);
        let rest = PageRequest {
            after: page.next,
            limit: 2,
        };
        let page = store.policy_versions(org, id, rest).await.unwrap();
        assert_eq!((numbers(&page), page.next), (vec![1], None));
        for (number, text) in [(1, "first"), (2, "second"), (3, "third")] {
            let (version, kept) = store.policy_text(org, id, number).await.unwrap().unwrap();
            assert_eq!((version.number, kept.as_str()), (number, text));
            assert_eq!(version.note, format!("note of {text}"));
        }
        assert_eq!(store.policy_text(org, id, 4).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn who_edited_an_older_version_is_told() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.id);
        let id = bed.policy("ci").await;
        let save = async |base: i64| {
            store
                .change_policy(org, id, base, &version("x"), NOW)
                .await
                .map(|policy| policy.newest.number)
        };
        assert_eq!(save(1).await.unwrap(), 2);
        for base in [0, 1, 3] {
            assert!(
                matches!(save(base).await, Err(StoreError::Conflict(why)) if why.contains("version 2")),
                "{base}"
            );
        }
        // Of many who save at once, one does.
        let (a, b, c) = tokio::join!(save(2), save(2), save(2));
        let saved = [a, b, c].iter().filter(|saved| saved.is_ok()).count();
        assert_eq!(saved, 1);
        let newest = store.policy(org, id).await.unwrap().unwrap().newest.number;
        assert_eq!(newest, 3);
    })
    .await;
}

#[tokio::test]
async fn a_policy_is_put_away_only_where_it_is_not_attached() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.id);
        let id = bed.policy("ci").await;
        assert!(matches!(
            store.add_policy(org, "ci", &version("x"), NOW).await,
            Err(StoreError::Exists(_))
        ));
        let attachment = bed.attach(id, PolicyScope::Org).await;
        assert!(matches!(
            store.archive_policy(org, id, NOW).await,
            Err(StoreError::Conflict(_))
        ));
        let detached = store.detach_policy(org, id, attachment).await.unwrap();
        assert_eq!(detached.unwrap().scope, PolicyScope::Org);
        assert_eq!(
            store.detach_policy(org, id, attachment).await.unwrap(),
            None
        );
        store.archive_policy(org, id, NOW + 9).await.unwrap();

        assert_eq!(store.policies(org, false).await.unwrap(), []);
        let archived = store.policies(org, true).await.unwrap();
        assert_eq!(archived[0].archived_at, Some(NOW + 9));
        assert!(store.policy_text(org, id, 1).await.unwrap().is_some());
        // It stays as it is, and its name is free.
        for refused in [
            store.archive_policy(org, id, NOW).await,
            store
                .change_policy(org, id, 1, &version("x"), NOW)
                .await
                .map(drop),
            store
                .attach_policy(org, id, &PolicyScope::Org, "ada", NOW)
                .await
                .map(drop),
        ] {
            assert!(matches!(refused, Err(StoreError::Conflict(_))));
        }
        assert_ne!(bed.policy("ci").await, id);
    })
    .await;
}

#[tokio::test]
async fn the_most_specific_attachment_comes_first() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.id);
        let project = bed.project().await;
        let mut policies = Vec::new();
        for name in ["of-org", "of-project", "of-pipeline", "of-job"] {
            policies.push(bed.policy(name).await);
        }
        let pipeline = ".gitlab-ci.yml".to_owned();
        for (policy, scope) in policies.iter().zip([
            PolicyScope::Org,
            PolicyScope::Project(project),
            PolicyScope::Pipeline(project, pipeline.clone()),
            PolicyScope::Job(project, pipeline, "test".to_owned()),
        ]) {
            bed.attach(*policy, scope).await;
        }
        let names = async |provider, project: &str, pipeline: &str, job: &str| {
            let job = JobName {
                provider,
                project,
                pipeline,
                job,
            };
            let found = store.policies_for(org, job).await.unwrap();
            let names = found.iter().map(|found| found.policy.name.clone());
            assert!(found.iter().all(|found| found.text == "first"));
            names.collect::<Vec<_>>()
        };
        use Provider::{Github, Gitlab};
        for (provider, project, pipeline, job, expected) in [
            (
                Gitlab,
                "group/app",
                ".gitlab-ci.yml",
                "test",
                &["of-job", "of-pipeline", "of-project", "of-org"][..],
            ),
            (
                Gitlab,
                "group/app",
                ".gitlab-ci.yml",
                "build",
                &["of-pipeline", "of-project", "of-org"],
            ),
            (
                Gitlab,
                "group/app",
                "other.yml",
                "test",
                &["of-project", "of-org"],
            ),
            (Gitlab, "group/lib", ".gitlab-ci.yml", "test", &["of-org"]),
            (Github, "group/app", ".gitlab-ci.yml", "test", &["of-org"]),
        ] {
            assert_eq!(
                names(provider, project, pipeline, job).await,
                expected,
                "{project} {pipeline} {job}"
            );
        }
        let attached = store.policy_attachments(org, None).await.unwrap();
        assert_eq!(attached.len(), 4);
        assert_eq!(attached[0].scope, PolicyScope::Org);
        assert_eq!(attached[3].project_name.as_deref(), Some("group/app"));
        assert_eq!(attached[3].scope.job(), Some("test"));
    })
    .await;
}

#[tokio::test]
async fn a_scope_has_one_policy() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.id);
        let project = bed.project().await;
        let (one, other) = (bed.policy("one").await, bed.policy("other").await);
        for scope in [
            PolicyScope::Org,
            PolicyScope::Project(project),
            PolicyScope::Job(project, String::new(), "test".to_owned()),
        ] {
            bed.attach(one, scope.clone()).await;
            for policy in [one, other] {
                let again = store.attach_policy(org, policy, &scope, "ada", NOW).await;
                assert!(
                    matches!(&again, Err(StoreError::Conflict(why)) if why.contains("`one`")),
                    "{again:?}"
                );
            }
        }
        let missing = PolicyScope::Project(ProjectId(999));
        assert!(matches!(
            store.attach_policy(org, one, &missing, "ada", NOW).await,
            Err(StoreError::Missing("project"))
        ));
        let of_other = store.policy_attachments(org, Some(other)).await.unwrap();
        assert_eq!(of_other, []);
    })
    .await;
}

#[tokio::test]
async fn policies_of_another_organisation_are_not_there() {
    each(test_name!(), async |bed: Bed| {
        let store = &bed.store;
        let project = bed.project().await;
        let id = bed.policy("ci").await;
        let attachment = bed.attach(id, PolicyScope::Org).await;
        let other = store.add_org("other", "Other").await.unwrap().id;
        assert_eq!(store.policy(other, id).await.unwrap(), None);
        assert_eq!(store.policies(other, false).await.unwrap(), []);
        assert_eq!(store.policy_text(other, id, 1).await.unwrap(), None);
        assert_eq!(store.policy_attachments(other, None).await.unwrap(), []);
        assert_eq!(store.jobs(other, None).await.unwrap(), []);
        assert_eq!(store.jobs(bed.org.id, None).await.unwrap().len(), 1);
        let versions = store.policy_versions(other, id, ALL).await.unwrap();
        assert_eq!(versions.rows, []);
        let job = JobName {
            provider: Provider::Gitlab,
            project: "group/app",
            pipeline: ".gitlab-ci.yml",
            job: "test",
        };
        assert_eq!(store.policies_for(other, job).await.unwrap(), []);
        assert_eq!(
            store.detach_policy(other, id, attachment).await.unwrap(),
            None
        );
        let theirs = store
            .add_policy(other, "ci", &version("x"), NOW)
            .await
            .unwrap();
        for refused in [
            store.archive_policy(other, id, NOW).await,
            store
                .change_policy(other, id, 1, &version("x"), NOW)
                .await
                .map(drop),
            store
                .attach_policy(other, id, &PolicyScope::Org, "eve", NOW)
                .await
                .map(drop),
            store
                .attach_policy(other, theirs.id, &PolicyScope::Project(project), "eve", NOW)
                .await
                .map(drop),
        ] {
            assert!(matches!(refused, Err(StoreError::Missing(_))));
        }
    })
    .await;
}
