use runward_lab::test_name;
use runward_store::{KeyScope, NewApiKey, NewUser, Role, Store as _, StoreError, Visibility};

use crate::bed::{ALL, Bed, NOW, each, name};

#[tokio::test]
async fn a_session_ends_by_time_by_logout_and_by_a_new_password() {
    each(test_name!(), async |bed: Bed| {
        let user = NewUser {
            login: "ada".to_owned(),
            password_hash: Some("hash".to_owned()),
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
