//! The bodies of the fuzz targets, run for a bounded time on what the stable toolchain has:
//! the corpus, and random changes of valid frames.

use ottla_wire::messages::RequestHeader;
use ottla_wire::{ApiKey, MESSAGES, Request, Response, Seed, encode_request, encode_response};

#[path = "../fuzz/header.rs"]
mod header;
#[path = "../fuzz/otlp.rs"]
mod otlp;
#[path = "../fuzz/request.rs"]
mod request;
#[path = "../fuzz/response.rs"]
mod response;
#[path = "../fuzz/stored_record.rs"]
mod stored_record;

const ROUNDS: u64 = 30_000;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let inputs: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!inputs.is_empty(), "{folder} is empty");
    inputs
}

/// Flips, cuts, repeats and overwrites a few bytes.
fn mutate(data: &mut Vec<u8>, seed: &mut Seed) {
    for _ in 0..seed.below(4) {
        let at = seed.below(data.len());
        match (seed.below(5), data.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << seed.below(8),
            (1, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][seed.below(5)],
            (2, Some(_)) => data.truncate(at),
            (3, Some(_)) => {
                let tail = data.split_off(at);
                data.extend_from_slice(&tail[..tail.len() / 2]);
                data.extend_from_slice(&tail);
            }
            _ => data.push(seed.next_u64() as u8),
        }
    }
}

fn run(target: &str, body: fn(&[u8]), valid: impl Fn(&mut Seed) -> Vec<u8>) {
    let seed = &mut Seed::new(0x0771a);
    let corpus = corpus(target);
    for input in &corpus {
        body(input);
    }
    for round in 0..ROUNDS {
        let mut data = match round % 4 {
            0 => (0..seed.below(64)).map(|_| seed.next_u64() as u8).collect(),
            1 => corpus[seed.below(corpus.len())].clone(),
            _ => valid(seed),
        };
        mutate(&mut data, seed);
        body(&data);
    }
}

fn any_api(seed: &mut Seed) -> (ApiKey, i16) {
    let api = ApiKey::all().nth(seed.below(ApiKey::all().len())).unwrap();
    let count = api.versions().count();
    (api, api.versions().nth(seed.below(count)).unwrap())
}

fn valid_request(seed: &mut Seed) -> Vec<u8> {
    let (api, version) = any_api(seed);
    let header = RequestHeader::new(api, version, 1, Some("fuzz".into()));
    let frame = encode_request(&header, &Request::arbitrary(api, version, seed)).unwrap();
    frame.to_bytes()[4..].to_vec()
}

fn valid_response(seed: &mut Seed) -> Vec<u8> {
    let (api, version) = any_api(seed);
    let body = Response::arbitrary(api, version, seed);
    let frame = encode_response(1, api, version, &body).unwrap().to_bytes();
    [
        &api.to_i16().to_be_bytes(),
        &version.to_be_bytes(),
        &frame[4..],
    ]
    .concat()
}

fn valid_record(seed: &mut Seed) -> Vec<u8> {
    let which = seed.below(MESSAGES.len());
    let message = MESSAGES[which];
    let nth = seed.below(message.versions().count());
    let version = message.versions().nth(nth).unwrap();
    let bytes = message.random(version, seed).unwrap();
    [&(which as u16).to_be_bytes()[..], &[nth as u8], &bytes].concat()
}

#[test]
fn requests_survive_random_changes() {
    run("request", request::body, valid_request);
}

#[test]
fn responses_survive_random_changes() {
    run("response", response::body, valid_response);
}

#[test]
fn headers_survive_random_changes() {
    run("header", header::body, valid_request);
}

#[test]
fn stored_records_survive_random_changes() {
    run("stored_record", stored_record::body, valid_record);
}

#[test]
fn pushed_metrics_survive_random_changes() {
    let valid = corpus("otlp");
    run("otlp", otlp::body, |seed| {
        valid[seed.below(valid.len())].clone()
    });
}
