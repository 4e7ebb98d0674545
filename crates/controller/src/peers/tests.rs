use std::ops::RangeInclusive;
use std::sync::OnceLock;

use ottla_net::{Dispatch, Incoming, ListenerOptions, Options, Outcome, Peer, Reply, Server};
use ottla_wire::messages::api_versions_response::ApiVersion;
use ottla_wire::messages::{
    ApiVersionsResponse, ExchangeRaftRequest, ExchangeRaftResponse, RequestHeader,
};
use ottla_wire::{ApiKey, encode_response};

use super::*;

/// A node whose first connection is dead: what comes over it is never answered.
#[derive(Default)]
struct FirstIsDead {
    first: OnceLock<std::net::SocketAddr>,
}

impl Dispatch for FirstIsDead {
    fn versions(&self, _: &Peer, api: ApiKey) -> Option<RangeInclusive<i16>> {
        let served = [ApiKey::ApiVersions, ApiKey::ExchangeRaft];
        served.contains(&api).then(|| api.stable_versions())
    }

    fn unsupported_api_versions(&self, _: &Peer, _: &RequestHeader) -> Reply {
        Reply::Close("another version".to_owned())
    }

    async fn dispatch(&self, peer: &Arc<Peer>, incoming: Incoming) -> Outcome {
        let version = incoming.header.request_api_version;
        let body: Response = match incoming.api {
            ApiKey::ApiVersions => {
                let api = ApiKey::ExchangeRaft;
                let key = ApiVersion {
                    api_key: api.to_i16(),
                    min_version: *api.stable_versions().start(),
                    max_version: *api.stable_versions().end(),
                    ..ApiVersion::default()
                };
                ApiVersionsResponse {
                    api_keys: vec![key],
                    ..ApiVersionsResponse::default()
                }
                .into()
            }
            _ if *self.first.get_or_init(|| peer.address()) == peer.address() => {
                return Outcome::later(std::future::pending());
            }
            _ => ExchangeRaftResponse::default().into(),
        };
        let id = incoming.header.correlation_id;
        let frame = encode_response(id, incoming.api, version, &body);
        frame.unwrap().into()
    }
}

#[tokio::test]
async fn a_dead_connection_is_left_although_each_message_is_given_up_sooner() {
    let runtime = Runtime::real();
    let options = Options {
        listeners: vec![ListenerOptions {
            name: "CONTROLLER".to_owned(),
            bind_host: "127.0.0.1".to_owned(),
            port: 0,
        }],
        drain_timeout: Duration::ZERO,
        ..Options::default()
    };
    let bound = Server::bind(runtime.clone(), options, Arc::new(FirstIsDead::default())).await;
    let (server, handle) = bound.unwrap();
    let at = handle.local_addr("CONTROLLER").unwrap();
    runtime.tasks.run("listeners", server);
    let place = Place {
        host: at.ip().to_string(),
        port: at.port(),
    };
    let peers = Peers::new(&runtime, Duration::from_millis(300));
    let heartbeat = Request::from(ExchangeRaftRequest::default());
    let began = std::time::Instant::now();
    loop {
        let call = peers.call(2, Lane::Raft, &place, &heartbeat);
        // A heartbeat is worth nothing when the next one is due.
        let answer = tokio::time::timeout(Duration::from_millis(50), call).await;
        if let Ok(Ok(answer)) = answer {
            assert!(matches!(answer, Response::ExchangeRaft(_)));
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the dead connection is used for ever: {answer:?}"
        );
    }
    runtime.tasks.stop().await;
}
