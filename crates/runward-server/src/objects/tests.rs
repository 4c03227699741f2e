//! What a place of objects has to do, whichever it is: a folder, or a bucket of a real S3-speaking server.

use axum::body::Bytes;
use futures_util::future::join_all;

use super::{Bucket, ObjectError, Objects, Secret};

#[path = "../../tests/it/s3.rs"]
mod s3;

use s3::{BUCKET, S3, SIGNER};

/// Runs a test on a place of each kind, with nothing in it.
async fn each(run: impl AsyncFn(Objects)) {
    let folder = tempfile::tempdir().unwrap();
    run(Objects::folder(folder.path()).unwrap()).await;
    let server = S3::start();
    for prefix in ["", "/some/prefix"] {
        run(Objects::bucket(&bucket(&server, prefix, SIGNER.1)).unwrap()).await;
    }
    assert!(!server.objects("some/prefix").is_empty());
}

fn bucket(server: &S3, prefix: &str, secret: &str) -> Bucket {
    let secret = format!(
        "aws_access_key_id = {}\naws_secret_access_key = {secret}",
        SIGNER.0
    );
    Bucket {
        endpoint: Some(format!("http://{}", server.address)),
        region: Some("test-1".to_owned()),
        secret: Some(Secret::parse(&secret).unwrap()),
        ..Bucket::parse(&format!("s3://{BUCKET}{prefix}")).unwrap()
    }
}

fn is_missing<T>(answer: Result<T, ObjectError>) -> bool {
    matches!(answer, Err(ObjectError::Missing(_)))
}

#[tokio::test]
async fn an_object_is_read_as_it_was_kept_last() {
    each(async |objects| {
        assert!(is_missing(objects.get("events/1/a").await));
        for text in ["one", "another one", ""] {
            objects
                .put("events/1/a", Bytes::from_static(text.as_bytes()))
                .await
                .unwrap();
            assert_eq!(objects.get("events/1/a").await.unwrap(), text.as_bytes());
        }
    })
    .await;
}

#[tokio::test]
async fn objects_are_listed_by_prefix_and_deleted_once_and_for_all() {
    each(async |objects| {
        for name in [
            "events/1/a/1",
            "events/1/a/2",
            "events/1/ab/1",
            "events/2/a/1",
        ] {
            objects.put(name, Bytes::from_static(b"x")).await.unwrap();
        }
        let list = async |prefix: &str, most| {
            let mut found = objects.list(prefix, most).await.unwrap();
            found.sort();
            found
        };
        assert_eq!(
            list("events/1/a", 10).await,
            ["events/1/a/1", "events/1/a/2"],
            "and not those of `ab`"
        );
        assert_eq!(list("events/1/a", 1).await.len(), 1);
        assert_eq!(list("events", 10).await.len(), 4);
        assert!(list("nothing/here", 10).await.is_empty());
        for _ in 0..2 {
            objects.delete("events/1/a/1").await.unwrap();
            assert!(is_missing(objects.get("events/1/a/1").await));
        }
        assert_eq!(list("events/1/a", 10).await, ["events/1/a/2"]);
        assert_eq!(list("events", 10).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_big_object_is_whole() {
    // As big as the largest batch, and not a repetition that would hide parts out of order.
    let bytes: Vec<u8> = (0u32..4 << 20)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let bytes = Bytes::from(bytes);
    each(async |objects| {
        objects.put("events/big", bytes.clone()).await.unwrap();
        assert!(objects.get("events/big").await.unwrap() == bytes);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_are_kept_at_once_are_all_there_and_whole() {
    each(async |objects| {
        // Pairs of writers share a name, as two servers do when an agent sends a batch again.
        let writes = (0..64u8).map(|n| {
            let objects = objects.clone();
            tokio::spawn(async move {
                let bytes = Bytes::from(vec![n / 2; 10_000]);
                objects.put(&format!("events/{}", n / 2), bytes).await
            })
        });
        for written in join_all(writes).await {
            written.unwrap().unwrap();
        }
        for n in 0..32u8 {
            let bytes = objects.get(&format!("events/{n}")).await.unwrap();
            assert!(bytes.len() == 10_000 && bytes.iter().all(|byte| *byte == n));
        }
        assert_eq!(objects.list("events", 100).await.unwrap().len(), 32);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_away_or_refuses_is_no_missing_object() {
    let mut server = S3::start();
    let wrong = Objects::bucket(&bucket(&server, "", "another")).unwrap();
    let objects = Objects::bucket(&bucket(&server, "", SIGNER.1)).unwrap();
    let refused = wrong.get("events/1").await;
    assert!(
        matches!(refused, Err(ObjectError::Unavailable(_))),
        "{refused:?}"
    );
    server.stop();
    let put = objects.put("events/1", Bytes::from_static(b"x")).await;
    assert!(matches!(put, Err(ObjectError::Unavailable(_))), "{put:?}");
    server.restart();
    objects
        .put("events/1", Bytes::from_static(b"x"))
        .await
        .unwrap();
}
