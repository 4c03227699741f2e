use runward_lab::test_name;
use runward_store::{KeyScope, NewApiKey, NewUser, Role, Store as _, StoreError, User, Visibility};

use crate::bed::{ALL, Bed, NOW, each, name};

#[tokio::test]
async fn a_session_ends_by_time_by_logout_and_by_a_new_password() {
    each(test_name!(), async |bed: Bed| {
        let user = NewUser {
            login: "ada".to_owned(),
            password_hash: Some("hash".to_owned()),
            subject: None,
            org: bed.org.id,
            role: Role::Admin,
        };
        let user = bed.store.add_user(&user, NOW).await.unwrap();
        assert_eq!(bed.store.user("ada").await.unwrap(), Some(user.clone()));
        assert_eq!(bed.store.user("eve").await.unwrap(), None);
        let open = async |hash: u8| {
            bed.store
                .add_session(&[hash; 32], user.id, "csrf", NOW, NOW + 10)
                .await
                .unwrap()
        };
        let is_open =
            async |hash: u8, now| bed.store.session(&[hash; 32], now).await.unwrap().is_some();
        open(1).await;
        open(2).await;
        assert!(is_open(1, NOW + 9).await && !is_open(1, NOW + 10).await && !is_open(9, NOW).await);
        bed.store.end_session(&[1; 32]).await.unwrap();
        assert!(!is_open(1, NOW).await && is_open(2, NOW).await);
        bed.store.set_password(user.id, "other").await.unwrap();
        assert!(!is_open(2, NOW).await);
        open(3).await;
        bed.store.reauthenticated(&[3; 32], NOW + 5).await.unwrap();
        let session = bed.store.session(&[3; 32], NOW).await.unwrap().unwrap();
        assert_eq!(session.authenticated_at, NOW + 5);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_good_until_it_is_taken_back() {
    each(test_name!(), async |bed: Bed| {
        let other = bed.store.add_org("other", "Other").await.unwrap();
        let new = NewApiKey {
            name: "runners".to_owned(),
            prefix: "rwk_abc".to_owned(),
            hash: [7; 32],
            org: bed.org.id,
            project: None,
            scope: KeyScope::Ingest,
        };
        let key = bed.store.add_key(&new, NOW).await.unwrap();
        assert!(matches!(
            bed.store.add_key(&new, NOW).await,
            Err(StoreError::Exists(_))
        ));
        let used = bed.store.use_key(&[7; 32], NOW + 1).await.unwrap().unwrap();
        assert_eq!(
            (used.id, used.scope, used.org),
            (key.id, KeyScope::Ingest, bed.org.id)
        );
        assert_eq!(
            bed.store.keys(bed.org.id).await.unwrap()[0].used_at,
            Some(NOW + 1)
        );
        assert!(bed.store.use_key(&[8; 32], NOW).await.unwrap().is_none());
        // Nobody else's to take back.
        assert!(!bed.store.revoke_key(other.id, key.id, NOW).await.unwrap());
        assert!(bed.store.revoke_key(bed.org.id, key.id, NOW).await.unwrap());
        assert!(!bed.store.revoke_key(bed.org.id, key.id, NOW).await.unwrap());
        assert!(bed.store.use_key(&[7; 32], NOW).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn names_are_taken_once_and_changes_are_noted() {
    each(test_name!(), async |bed: Bed| {
        assert!(matches!(
            bed.store.add_org("main", "Again").await,
            Err(StoreError::Exists(_))
        ));
        for n in 0..3 {
            bed.store
                .audit(bed.org.id, NOW + n, "ada", "api-key.create", "runners")
                .await
                .unwrap();
        }
        let log = bed.store.audit_log(bed.org.id, ALL).await.unwrap().rows;
        assert_eq!(
            log.iter().map(|entry| entry.at - NOW).collect::<Vec<_>>(),
            [2, 1, 0]
        );

        bed.run(1, |_| ()).await;
        let project = bed
            .store
            .run(bed.org.id, &name(1))
            .await
            .unwrap()
            .unwrap()
            .1;
        assert_eq!(project.visibility, Visibility::Private);
        bed.store
            .set_visibility(bed.org.id, project.id, Visibility::Public)
            .await
            .unwrap();
        let project = bed
            .store
            .project(bed.org.id, project.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(project.visibility, Visibility::Public);
    })
    .await;
}

async fn member(bed: &Bed, login: &str, role: Role) -> User {
    let user = NewUser {
        login: login.to_owned(),
        password_hash: None,
        subject: Some(format!("https://id.example {login}")),
        org: bed.org.id,
        role,
    };
    bed.store.add_user(&user, NOW).await.unwrap()
}

#[tokio::test]
async fn an_organisation_keeps_its_last_admin() {
    each(test_name!(), async |bed: Bed| {
        let other = bed.store.add_org("other", "Other").await.unwrap();
        let ada = member(&bed, "ada", Role::Admin).await;
        let bob = member(&bed, "bob", Role::Admin).await;
        let found = bed.store.user_of("https://id.example ada").await.unwrap();
        assert_eq!(found, Some(ada.clone()));
        let set = async |user: &User, role| bed.store.set_role(bed.org.id, user.id, role).await;
        assert!(set(&ada, Role::Auditor).await.unwrap());
        assert!(!set(&bob, Role::Auditor).await.unwrap());
        assert!(!bed.store.remove_user(bed.org.id, bob.id).await.unwrap());
        assert!(set(&bob, Role::Admin).await.unwrap());
        for missing in [
            bed.store.remove_user(other.id, ada.id).await,
            bed.store.set_role(other.id, ada.id, Role::Admin).await,
        ] {
            assert!(matches!(missing, Err(StoreError::Missing("member"))));
        }
        let open = async |hash: u8| bed.store.session(&[hash; 32], NOW).await.unwrap().is_some();
        for (hash, user) in [(1, &ada), (2, &bob)] {
            bed.store
                .add_session(&[hash; 32], user.id, "csrf", NOW, NOW + 10)
                .await
                .unwrap();
        }
        assert!(bed.store.remove_user(bed.org.id, ada.id).await.unwrap());
        assert!(!open(1).await && open(2).await);
        assert_eq!(bed.store.users(bed.org.id).await.unwrap(), [bob]);
    })
    .await;
}

#[tokio::test]
async fn two_admins_who_remove_each_other_do_not_both_succeed() {
    each(test_name!(), async |bed: Bed| {
        let one = member(&bed, "one", Role::Admin).await;
        let two = member(&bed, "two", Role::Admin).await;
        for _ in 0..10 {
            let (first, second) = tokio::join!(
                bed.store.set_role(bed.org.id, one.id, Role::Auditor),
                bed.store.set_role(bed.org.id, two.id, Role::Auditor),
            );
            assert_ne!(first.unwrap(), second.unwrap());
            for user in [&one, &two] {
                let again = bed.store.set_role(bed.org.id, user.id, Role::Admin).await;
                assert!(again.unwrap());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_registration_is_used_once_and_in_time() {
    each(test_name!(), async |bed: Bed| {
        let add = async |hash: u8, until| {
            bed.store
                .add_registration(&[hash; 32], bed.org.id, NOW, until)
                .await
                .unwrap()
        };
        let take =
            async |hash: u8, now| bed.store.use_registration(&[hash; 32], now).await.unwrap();
        add(1, NOW + 10).await;
        add(2, NOW + 10).await;
        assert_eq!(take(1, NOW + 9).await, Some(bed.org.id));
        assert_eq!(take(1, NOW + 9).await, None);
        assert_eq!(take(2, NOW + 10).await, None);
        assert_eq!(take(3, NOW).await, None);
    })
    .await;
}

#[tokio::test]
async fn trust_belongs_to_one_organisation() {
    each(test_name!(), async |bed: Bed| {
        let other = bed.store.add_org("other", "Other").await.unwrap();
        let issuer = "https://ci.example";
        let add = async |org, pattern: &str| bed.store.add_trust(org, issuer, pattern, NOW).await;
        let entry = add(bed.org.id, "group/*").await.unwrap();
        add(other.id, "group/*").await.unwrap();
        assert!(matches!(
            add(bed.org.id, "group/*").await,
            Err(StoreError::Exists(_))
        ));
        let kept = bed.store.trusts(bed.org.id).await.unwrap();
        assert_eq!(kept.first(), Some(&entry));
        assert_eq!(kept.len(), 1);
        assert_eq!(bed.store.trusts_of(issuer).await.unwrap().len(), 2);
        assert!(bed.store.trusts_of("https://x").await.unwrap().is_empty());
        let remove = async |org| bed.store.remove_trust(org, entry.id).await.unwrap();
        assert_eq!(remove(other.id).await, None);
        assert_eq!(remove(bed.org.id).await, Some(entry.clone()));
        assert_eq!(remove(bed.org.id).await, None);
    })
    .await;
}
