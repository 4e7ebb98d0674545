//! DescribeTransactions (key 65): transactional ids and their transactions (KIP-664).

use futures_util::future::join_all;
use ottla_model::ErrorCode;
use ottla_txn::{Described, Request, Response};
use ottla_wire::Text;
use ottla_wire::messages::describe_transactions_response::{TopicData, TransactionState};
use ottla_wire::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::groups::shared;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeTransactionsRequest,
) -> Answer<DescribeTransactionsResponse> {
    Answer::later(async move {
        let ids = distinct(request.transactional_ids, Text::clone);
        let asked = ids.into_iter().map(|id| describe(&ctx, id));
        DescribeTransactionsResponse {
            transaction_states: join_all(asked).await,
            ..DescribeTransactionsResponse::default()
        }
    })
}

async fn describe(ctx: &Ctx, transactional_id: Text) -> TransactionState {
    let id = shared(&transactional_id);
    let asked = Request::Describe(id.clone());
    let answer = ctx.broker.transactions.ask(&ctx.broker, &id, asked).await;
    match answer.wait().await {
        Ok(Response::Describe(Ok(described))) => state(transactional_id, described),
        Ok(Response::Describe(Err(code))) | Err(code) => failed(transactional_id, code),
        Ok(_) => failed(transactional_id, ErrorCode::UnknownServerError),
    }
}

fn state(transactional_id: Text, described: Described) -> TransactionState {
    let mut topics: Vec<TopicData> = Vec::new();
    for at in described.partitions {
        match topics.last_mut() {
            Some(last) if *last.topic == *at.topic.as_str() => last.partitions.push(at.partition),
            _ => topics.push(TopicData {
                topic: Text::from(at.topic.as_str()),
                partitions: vec![at.partition],
                ..TopicData::default()
            }),
        }
    }
    TransactionState {
        transactional_id,
        transaction_state: Text::from(described.state.name()),
        transaction_timeout_ms: described.transaction_timeout_ms,
        transaction_start_time_ms: described.start_ms,
        producer_id: described.producer.producer_id,
        producer_epoch: described.producer.producer_epoch,
        topics,
        ..TransactionState::default()
    }
}

fn failed(transactional_id: Text, code: ErrorCode) -> TransactionState {
    TransactionState {
        transactional_id,
        error_code: code.code(),
        ..TransactionState::default()
    }
}
