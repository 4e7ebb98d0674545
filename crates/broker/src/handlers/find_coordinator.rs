//! FindCoordinator (key 10): which broker answers for a group or a transactional id.

use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::find_coordinator_response::Coordinator;
use ottla_wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::context::{Answer, BrokerAddress, Ctx};

/// `KeyType`: the key is a group's id.
const GROUP: i8 = 0;
/// `KeyType`: the key is a transactional id.
const TRANSACTION: i8 = 1;

pub(crate) async fn handle(
    ctx: Ctx,
    request: FindCoordinatorRequest,
) -> Answer<FindCoordinatorResponse> {
    Answer::later(async move {
        let ensured = ensure(&ctx, request.key_type).await;
        let found = |key: &Text| ensured.and_then(|kind| find(&ctx, kind, key));
        if ctx.version >= 4 {
            let keys = request.coordinator_keys.into_iter();
            let coordinators = keys.map(|key| {
                let found = found(&key);
                coordinator(key, found)
            });
            return FindCoordinatorResponse {
                coordinators: coordinators.collect(),
                ..FindCoordinatorResponse::default()
            };
        }
        let found = found(&request.key);
        let Coordinator {
            node_id,
            host,
            port,
            error_code,
            error_message,
            ..
        } = coordinator(request.key, found);
        FindCoordinatorResponse {
            error_code,
            error_message: error_message.filter(|_| ctx.version >= 1),
            node_id,
            host,
            port,
            ..FindCoordinatorResponse::default()
        }
    })
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Group,
    Transaction,
}

type Refused = (ErrorCode, &'static str);

/// Makes the topic that holds coordinators of this kind, if it is not there yet.
async fn ensure(ctx: &Ctx, key_type: i8) -> Result<Kind, Refused> {
    let (kind, ensured) = match key_type {
        GROUP => {
            let ensured = ctx.broker.groups.ensure_topic(&ctx.broker).await;
            (Kind::Group, ensured)
        }
        TRANSACTION => {
            let ensured = ctx.broker.transactions.ensure_topic(&ctx.broker).await;
            (Kind::Transaction, ensured)
        }
        _ => {
            return Err((
                ErrorCode::InvalidRequest,
                "This node coordinates groups and transactions; it has no coordinator for share \
                 groups.",
            ));
        }
    };
    let message = "The topic that holds the coordinator's state could not be created.";
    ensured.map(|()| kind).map_err(|code| (code, message))
}

fn find(ctx: &Ctx, kind: Kind, key: &str) -> Result<BrokerAddress, Refused> {
    let image = ctx.broker.image();
    let leader = match kind {
        Kind::Group => ctx.broker.groups.coordinator(&image, key),
        Kind::Transaction => ctx.broker.transactions.coordinator(&image, key),
    };
    let leader = leader.map_err(|code| (code, "The coordinator's partition has no leader."))?;
    let live = ctx.live_brokers(&image);
    live.into_iter().find(|b| b.id == leader.0).ok_or((
        ErrorCode::CoordinatorNotAvailable,
        "The coordinator is not on this listener.",
    ))
}

fn coordinator(key: Text, found: Result<BrokerAddress, Refused>) -> Coordinator {
    match found {
        Ok(broker) => Coordinator {
            key,
            node_id: broker.id,
            host: Text::from(broker.host.as_str()),
            port: broker.port,
            ..Coordinator::default()
        },
        Err((code, message)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: code.code(),
            error_message: Some(Text::from(message)),
            ..Coordinator::default()
        },
    }
}
