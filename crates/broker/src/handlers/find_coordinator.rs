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
        let found = find(&ctx, request.key_type).await;
        if ctx.version >= 4 {
            let keys = request.coordinator_keys.into_iter();
            let coordinators = keys.map(|key| coordinator(key, &found)).collect();
            return FindCoordinatorResponse {
                coordinators,
                ..FindCoordinatorResponse::default()
            };
        }
        let Coordinator {
            node_id,
            host,
            port,
            error_code,
            error_message,
            ..
        } = coordinator(request.key, &found);
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

type Found = Result<BrokerAddress, (ErrorCode, &'static str)>;

async fn find(ctx: &Ctx, key_type: i8) -> Found {
    let ensured = match key_type {
        GROUP => ctx.broker.groups.ensure_topic(&ctx.broker).await,
        TRANSACTION => ctx.broker.transactions.ensure_topic(&ctx.broker).await,
        _ => {
            return Err((
                ErrorCode::InvalidRequest,
                "This node coordinates groups and transactions; it has no coordinator for share \
                 groups.",
            ));
        }
    };
    if let Err(code) = ensured {
        return Err((
            code,
            "The topic that holds the coordinator's state could not be created.",
        ));
    }
    let image = ctx.broker.image();
    let own = ctx
        .live_brokers(&image)
        .into_iter()
        .find(|b| b.id == ctx.broker.node_id.0);
    own.ok_or((
        ErrorCode::CoordinatorNotAvailable,
        "The coordinator is not on this listener.",
    ))
}

fn coordinator(key: Text, found: &Found) -> Coordinator {
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
            error_message: Some(Text::from(*message)),
            ..Coordinator::default()
        },
    }
}
