use ottla_model::{EntityName, QuotaValue};

use super::*;
use crate::Command;
use crate::fixture::Cluster;

type Parts<'a> = &'a [(&'a str, Option<&'a str>)];
type Ops<'a> = &'a [(&'a str, Option<f64>)];

fn entry(entity: Parts<'_>, ops: Ops<'_>) -> AlterClientQuota {
    let owned = |(kind, name): &(&str, Option<&str>)| (kind.to_string(), name.map(str::to_owned));
    let op = |(key, value): &(&str, Option<f64>)| (key.to_string(), value.map(QuotaValue));
    AlterClientQuota {
        entity: entity.iter().map(owned).collect(),
        ops: ops.iter().map(op).collect(),
    }
}

/// The error code of each entry, and how many records there were.
fn alter(cluster: &mut Cluster, entries: Vec<AlterClientQuota>) -> (Vec<ErrorCode>, i64) {
    let before = cluster.image.metadata_offset();
    let command = AlterClientQuotas {
        entries,
        validate_only: false,
    };
    let codes = match cluster.run(&Command::AlterClientQuotas(command)).unwrap() {
        Reply::AlterClientQuotas(results) => results
            .into_iter()
            .map(|r| r.map_or_else(|refusal| refusal.code, |()| ErrorCode::None))
            .collect(),
        other => panic!("{other:?}"),
    };
    (codes, cluster.image.metadata_offset() - before)
}

#[test]
fn limits_are_set_changed_and_taken_away_and_only_changes_are_recorded() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let alice: Parts<'_> = &[("client-id", None), ("user", Some("alice"))];
    let set = |rate| {
        entry(
            alice,
            &[
                ("producer_byte_rate", rate),
                ("request_percentage", Some(5.5)),
            ],
        )
    };
    assert_eq!(
        alter(&mut cluster, vec![set(Some(10.0))]),
        (vec![ErrorCode::None], 2)
    );
    assert_eq!(
        alter(&mut cluster, vec![set(Some(10.0))]),
        (vec![ErrorCode::None], 0)
    );
    assert_eq!(
        alter(&mut cluster, vec![set(Some(11.0))]),
        (vec![ErrorCode::None], 1)
    );
    let entity =
        ClientQuotaEntity::UserClientId(EntityName::Named("alice".into()), EntityName::Default);
    let rate = cluster
        .image
        .client_quotas()
        .get(&entity, QuotaKey::ProducerByteRate);
    assert_eq!(rate, Some(QuotaValue(11.0)));
    assert_eq!(
        alter(&mut cluster, vec![set(None)]),
        (vec![ErrorCode::None], 1)
    );
    let last = entry(
        alice,
        &[("request_percentage", None), ("no_such_key", None)],
    );
    assert_eq!(alter(&mut cluster, vec![last]), (vec![ErrorCode::None], 1));
    assert_eq!(cluster.image.client_quotas().iter().count(), 0);
}

#[test]
fn what_is_wrong_with_one_entry_leaves_the_others_alone() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let good = entry(&[("ip", None)], &[("connection_creation_rate", Some(3.0))]);
    let bad = [
        entry(&[], &[]),
        entry(&[("user", Some(""))], &[]),
        entry(&[("topic", Some("a"))], &[]),
        entry(&[("ip", Some("10.0.0.1")), ("user", None)], &[]),
        entry(
            &[("ip", Some("10.0.0.1"))],
            &[("producer_byte_rate", Some(1.0))],
        ),
        entry(
            &[("user", None)],
            &[("connection_creation_rate", Some(1.0))],
        ),
        entry(&[("user", None)], &[("producer_byte_rate", Some(0.0))]),
        entry(&[("client-id", None)], &[("producer_byte_rate", Some(1.5))]),
        entry(
            &[("client-id", Some("a"))],
            &[
                ("producer_byte_rate", Some(1.0)),
                ("producer_byte_rate", None),
            ],
        ),
    ];
    for bad in bad {
        let mut cluster = Cluster::with_brokers(&[1]);
        let (codes, records) = alter(&mut cluster, vec![bad.clone(), good.clone()]);
        assert_eq!(
            codes,
            [ErrorCode::InvalidRequest, ErrorCode::None],
            "{bad:?}"
        );
        assert_eq!(records, 1);
    }
    // An entity that comes twice is a mistake whose meaning cannot be guessed.
    let (codes, records) = alter(&mut cluster, vec![good.clone(), good]);
    assert_eq!((codes, records), (vec![ErrorCode::InvalidRequest; 2], 0));
}

#[test]
fn only_validating_changes_nothing() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let command = AlterClientQuotas {
        entries: vec![entry(
            &[("user", None)],
            &[("producer_byte_rate", Some(1.0))],
        )],
        validate_only: true,
    };
    let (records, reply) = cluster
        .decide(&Command::AlterClientQuotas(command))
        .unwrap();
    assert_eq!(
        (records.len(), reply),
        (0, Reply::AlterClientQuotas(vec![Ok(())]))
    );
}
