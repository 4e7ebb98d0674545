//! Ours against the `kafka-protocol` crate, which was generated from Kafka's own definitions by
//! others: what we encode, it decodes, and encodes to the same bytes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as Theirs, RequestKind, ResponseKind};
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, DefaultPrincipalData, EndTxnMarker,
    KRaftVersionRecord, LeaderChangeMessage, RequestHeader, ResponseHeader, SnapshotFooterRecord,
    SnapshotHeaderRecord, VotersRecord,
};
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use ottla_wire::{ApiKey, MESSAGES, Request, Response, Seed, Writer};

const SEEDS: u64 = 12;

/// Requests that its table of versions promises, and its decoder then refuses: the crate was made
/// from Kafka 4.1, where these versions were not released.
const OVERSTATED: [(ApiKey, i16); 3] = [
    (ApiKey::OffsetCommit, 10),
    (ApiKey::OffsetFetch, 10),
    (ApiKey::InitProducerId, 6),
];

fn ours(encode: impl Fn(&mut Writer)) -> Bytes {
    let mut writer = Writer::new();
    encode(&mut writer);
    writer.into_bytes()
}

type Recode = fn(Theirs, i16, &mut Bytes) -> Result<BytesMut, String>;

fn recode_request(api: Theirs, version: i16, bytes: &mut Bytes) -> Result<BytesMut, String> {
    let kind = RequestKind::decode(api, bytes, version).map_err(|e| format!("{e:#}"))?;
    let mut out = BytesMut::new();
    kind.encode(&mut out, version)
        .map_err(|e| format!("{e:#}"))?;
    Ok(out)
}

fn recode_response(api: Theirs, version: i16, bytes: &mut Bytes) -> Result<BytesMut, String> {
    let kind = ResponseKind::decode(api, bytes, version).map_err(|e| format!("{e:#}"))?;
    let mut out = BytesMut::new();
    kind.encode(&mut out, version)
        .map_err(|e| format!("{e:#}"))?;
    Ok(out)
}

fn compare(
    encode: fn(ApiKey, i16, &mut Seed) -> Bytes,
    recode: Recode,
    exceptions: &[(ApiKey, i16)],
) {
    let mut compared = 0;
    let mut failures = Vec::new();
    for api in ApiKey::all() {
        let Ok(theirs) = Theirs::try_from(api.to_i16()) else {
            continue;
        };
        let known = theirs.valid_versions();
        for version in api
            .versions()
            .filter(|v| (known.min..=known.max).contains(v))
        {
            if exceptions.contains(&(api, version)) {
                continue;
            }
            for seed in 0..SEEDS {
                let bytes = encode(api, version, &mut Seed::new(seed));
                let mut left = bytes.clone();
                compared += 1;
                match recode(theirs, version, &mut left) {
                    Ok(out) if out == bytes && left.is_empty() => {}
                    Ok(_) => failures.push(format!("{api} {version}: other bytes")),
                    Err(error) => failures.push(format!("{api} {version}: {error}")),
                }
            }
        }
    }
    failures.sort();
    failures.dedup();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        compared > 250 * SEEDS,
        "only {compared} bodies were compared"
    );
}

#[test]
fn requests_agree_with_kafka_protocol() {
    compare(
        |api, version, seed| {
            let body = Request::arbitrary(api, version, seed);
            ours(|writer| body.encode(version, writer).unwrap())
        },
        recode_request,
        &OVERSTATED,
    );
}

#[test]
fn responses_agree_with_kafka_protocol() {
    compare(
        |api, version, seed| {
            let body = Response::arbitrary(api, version, seed);
            ours(|writer| body.encode(version, writer).unwrap())
        },
        recode_response,
        &[],
    );
}

/// Its decoders of these confuse the record's own first field, `version`, with the version of the
/// schema. Where both are the same number, they are right.
const BEGIN_WITH_THEIR_VERSION: [&str; 5] = [
    "KRaftVersionRecord",
    "LeaderChangeMessage",
    "SnapshotFooterRecord",
    "SnapshotHeaderRecord",
    "VotersRecord",
];

fn compare_stored<T: Message + Decodable + Encodable>(name: &str) {
    let ours = MESSAGES
        .iter()
        .find(|message| message.name == name)
        .unwrap();
    let mut compared = 0;
    for version in ours.versions() {
        if !(T::VERSIONS.min..=T::VERSIONS.max).contains(&version) {
            continue;
        }
        for seed in 0..SEEDS {
            let mut bytes = ours.random(version, &mut Seed::new(seed)).unwrap();
            if BEGIN_WITH_THEIR_VERSION.contains(&name) {
                bytes = [&version.to_be_bytes(), &bytes[2..]].concat().into();
            }
            let mut out = BytesMut::new();
            let theirs = T::decode(&mut bytes.clone(), version)
                .unwrap_or_else(|e| panic!("{name} {version}: {e}"));
            theirs.encode(&mut out, version).unwrap();
            assert_eq!(out, bytes, "{name} {version}");
            compared += 1;
        }
    }
    assert!(compared > 0, "{name} has no version in common");
}

#[test]
fn headers_and_stored_messages_agree_with_kafka_protocol() {
    compare_stored::<RequestHeader>("RequestHeader");
    compare_stored::<ResponseHeader>("ResponseHeader");
    compare_stored::<ConsumerProtocolSubscription>("ConsumerProtocolSubscription");
    compare_stored::<ConsumerProtocolAssignment>("ConsumerProtocolAssignment");
    compare_stored::<DefaultPrincipalData>("DefaultPrincipalData");
    compare_stored::<EndTxnMarker>("EndTxnMarker");
    compare_stored::<LeaderChangeMessage>("LeaderChangeMessage");
    compare_stored::<KRaftVersionRecord>("KRaftVersionRecord");
    compare_stored::<SnapshotHeaderRecord>("SnapshotHeaderRecord");
    compare_stored::<SnapshotFooterRecord>("SnapshotFooterRecord");
    compare_stored::<VotersRecord>("VotersRecord");
}
